"""A smaller transformer, taught to give its teacher's vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from palate.core import DataError, Int64Array
from palate.language.compression.trunk import Trunk, bert_from, read, tensors_of
from palate.language.transformer import batches_by_length, padded, pooled, readable
from palate.training import TrainingSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from palate.language.bert import Bert

Progress = Callable[[str, float], None]

_HELD_OUT = 0.05
_STAY = ("words", "positions")
"""Vectors that are not taught: they are most of the numbers and know enough."""


class StudentSettings(TrainingSettings):
    """Of smaller transformers, and how they are taught; see ``TrainingSettings``.

    Parameters
    ----------
    layers
        Of the teacher's layers, spread evenly, the last among them.
    tokens_per_batch
        Tokens of a step.
    """

    layers: int = Field(default=3, ge=1)
    epochs: int = Field(default=3, ge=0)
    learning_rate: float = Field(default=2e-4, gt=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    tokens_per_batch: int = Field(default=1024, ge=1)


@dataclass(frozen=True)
class Lessons:
    """Texts and the teacher's vectors of them, float32 (n, h), length 1; the first ``held`` only say when to end."""

    texts: list[str]
    goals: Tensor
    held: int


@dataclass(frozen=True)
class Taught:
    """A smaller trunk, and the mean cosine to its teacher on texts that only said when to end (NaN: there are none)."""

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
    from torch import nn

    settings = settings or StudentSettings()
    said = list(dict.fromkeys(readable(texts, teacher.limit)[1]))
    if not said:
        raise DataError("there is no text to teach a smaller transformer by")
    tell = progress or (lambda _what, _share: None)
    tell("the teacher reads the texts", 0.0)
    order = np.random.default_rng(settings.seed).permutation(len(said))
    said = [said[place] for place in order]
    lessons = Lessons(said, torch.nn.functional.normalize(read(teacher, said)), int(len(said) * _HELD_OUT))
    start = _fewer(teacher, settings.layers)
    begun = tensors_of(start.bert)
    network = nn.ParameterList(
        nn.Parameter(tensor.clone(), requires_grad=name not in _STAY) for name, tensor in begun.items()
    )
    bert = bert_from(dict(zip(begun, network, strict=True)), teacher.bert.head_size, teacher.bert.epsilon)
    nearness = _teach(network, bert, start, lessons, settings, tell=tell)
    learnt = {name: tensor.detach() for name, tensor in zip(begun, network, strict=True)}
    bert = bert_from(learnt, teacher.bert.head_size, teacher.bert.epsilon)
    return Taught(replace(start, bert=bert, label=f"{teacher.label}-student").written_as("bf16"), nearness)


def _fewer(trunk: Trunk, count: int) -> Trunk:
    whole = trunk.bert.layers
    chosen = (
        np.unique(np.linspace(0, len(whole) - 1, min(count, len(whole))).round().astype(int)) if count > 1 else [-1]
    )
    return replace(trunk, bert=replace(trunk.bert, layers=tuple(whole[i] for i in chosen)))


def _teach(
    network: nn.ParameterList, bert: Bert, trunk: Trunk, lessons: Lessons, settings: StudentSettings, *, tell: Progress
) -> float:
    """Train the weights of ``bert``, which the network holds, in place; the mean cosine on what was held out."""
    import torch
    from torch.nn.functional import cosine_similarity

    from palate.training.checkpoints import place
    from palate.training.loop import train

    tokens = trunk.tokenize()(lessons.texts)
    lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
    batches = batches_by_length(lengths[lessons.held :], settings.tokens_per_batch)

    def nearness(rows: Int64Array) -> Tensor:
        ids, mask = padded([tokens[row] for row in rows])
        goals = lessons.goals[torch.from_numpy(rows)]
        return cosine_similarity(pooled(bert(ids, mask), mask, trunk.pooling), goals)

    def held_out() -> float:
        parts = batches_by_length(lengths[: lessons.held], settings.tokens_per_batch)
        return float(torch.cat([nearness(rows) for rows in parts]).mean())

    learnt = "\x1f".join((trunk.digest, *lessons.texts)).encode("utf-8", "surrogatepass")
    train(
        network,
        batches=lambda _, rng: (batches[number] + lessons.held for number in rng.permutation(len(batches))),
        steps=len(batches),
        loss=lambda rows, _: (1 - nearness(rows)).mean(),
        validate=held_out if lessons.held else None,
        settings=settings,
        checkpoint=place("student", settings, learnt),
        progress=lambda what, share: tell(f"a student of {len(bert.layers)} layers learns: {what}", share),
    )
    with torch.inference_mode():
        return held_out() if lessons.held else float("nan")
