"""A smaller transformer, taught to give its teacher's vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from palate.core import DataError, Settings
from palate.language.compression.trunk import Trunk, bert_from, read, tensors_of
from palate.language.transformer import batches_by_length, padded, pooled, readable

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[str, float], None]

_HELD_OUT = 0.05
_CLIP = 1.0


class StudentSettings(Settings):
    """Of smaller transformers.

    Parameters
    ----------
    layers
        Of the teacher's layers, spread evenly, the last among them.
    epochs, learning_rate, warmup, weight_decay
        Of AdamW; the rate climbs over the share ``warmup`` of all steps and falls to zero from there.
    tokens_per_batch
        Tokens of a step.
    """

    layers: int = Field(default=3, ge=1)
    epochs: int = Field(default=3, ge=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.01, ge=0)
    tokens_per_batch: int = Field(default=1024, ge=1)
    seed: int = 0


@dataclass(frozen=True)
class Taught:
    """A smaller trunk, and the mean cosine to its teacher on texts it was not taught by (NaN: none were held out)."""

    trunk: Trunk
    held_out: float


def distil_student(
    teacher: Trunk, texts: Sequence[str], settings: StudentSettings | None = None, progress: Progress | None = None
) -> Taught:
    """Some layers of a trunk, trained so that their sentence vectors are the whole trunk's.

    Begins with the teacher's own layers (DistilBERT, Sanh et al. 2019) and learns from sentence vectors alone, by
    cosine (Reimers & Gurevych 2020).

    Raises
    ------
    DataError
        No text says anything.
    """
    import torch

    settings = settings or StudentSettings()
    said = list(dict.fromkeys(readable(texts, teacher.limit)[1]))
    if not said:
        raise DataError("there is no text to teach a smaller transformer by")
    tell = progress or (lambda _what, _share: None)
    tell("the teacher reads the texts", 0.0)
    goals = torch.nn.functional.normalize(read(teacher, said))
    start = _fewer(teacher, settings.layers)
    weights = {name: tensor.clone() for name, tensor in tensors_of(start.bert).items()}
    rng = np.random.default_rng(settings.seed)
    order = rng.permutation(len(said))
    out = order[: int(len(said) * _HELD_OUT)]
    kept = order[len(out) :]
    _teach(start, weights, [said[i] for i in kept], goals[kept], settings=settings, rng=rng, tell=tell)
    bert = bert_from(weights, teacher.bert.head_size, teacher.bert.epsilon)
    student = replace(start, bert=bert, label=f"{teacher.label}-student").written_as("bf16")
    if not len(out):
        return Taught(student, float("nan"))
    guess = torch.nn.functional.normalize(read(student, [said[i] for i in out]))
    return Taught(student, float((guess * goals[out]).sum(1).mean()))


def _fewer(trunk: Trunk, count: int) -> Trunk:
    whole = trunk.bert.layers
    chosen = (
        np.unique(np.linspace(0, len(whole) - 1, min(count, len(whole))).round().astype(int)) if count > 1 else [-1]
    )
    return replace(trunk, bert=replace(trunk.bert, layers=tuple(whole[i] for i in chosen)))


def _teach(
    trunk: Trunk,
    weights: dict[str, Tensor],
    texts: list[str],
    goals: Tensor,
    *,
    settings: StudentSettings,
    rng: np.random.Generator,
    tell: Progress,
) -> None:
    """Train the weights in place; words and positions stay, they are most of the numbers and know enough."""
    import torch
    from torch.nn.functional import cosine_similarity

    moving = [tensor.requires_grad_() for name, tensor in weights.items() if name not in ("words", "positions")]
    bert = bert_from(weights, trunk.bert.head_size, trunk.bert.epsilon)
    tokens = trunk.tokenize()(texts)
    lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
    batches = batches_by_length(lengths, settings.tokens_per_batch)
    whole = len(batches) * settings.epochs
    optimizer = torch.optim.AdamW(moving, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    climb = max(1.0, settings.warmup * whole)
    for step in range(whole):
        if step % len(batches) == 0:
            order = rng.permutation(len(batches))
        rows = batches[order[step % len(batches)]]
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * min((step + 1) / climb, (whole - step) / max(whole - climb, 1.0))
        ids, mask = padded([tokens[i] for i in rows])
        vectors = pooled(bert(ids, mask), mask, trunk.pooling)
        loss = (1 - cosine_similarity(vectors, goals[torch.from_numpy(rows)])).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(moving, _CLIP)
        optimizer.step()
        tell(f"a student of {len(bert.layers)} layers learns", (step + 1) / whole)
    for tensor in moving:
        tensor.requires_grad_(False)
