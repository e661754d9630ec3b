"""Teaching a network to foresee the next item: pieces of histories in, a loss out, validation by N@10."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from palate.core import Histories, Int64Array
from palate.language.transformer import has_native_bf16
from palate.models.neural.losses import calibrated_cross_entropy, full_softmax, sampled_softmax
from palate.models.neural.network import SequenceNetwork, autocast, read
from palate.models.neural.packing import Padded, batches, cut, pad
from palate.models.neural.settings import Report, TrainingSettings
from palate.models.neural.training import Trained, train

_TIME_UNKNOWN = 0.2
"""Share of pieces trained without times, so that a question without one is nothing new."""


@dataclass(frozen=True)
class Objective:
    """Which loss, and what it needs.

    Parameters
    ----------
    kind
        ``softmax``, ``sampled`` or ``calibrated``.
    negatives
        Shared samples a batch, of the last two.
    calibration
        Of the calibrated loss.
    """

    kind: Literal["softmax", "sampled", "calibrated"]
    negatives: int
    calibration: float


def learn(
    network: SequenceNetwork,
    train_on: Histories,
    validation: tuple[Histories, Int64Array] | None,
    *,
    objective: Objective,
    cells: int,
    settings: TrainingSettings,
    mask_seen: bool,
    ends: int | None,
    checkpoint: Path | None,
    progress: Report | None,
) -> Trained:
    """Teach a network to foresee the next item.

    Parameters
    ----------
    validation
        Histories and what came next; it decides when to end.
    ends
        Ends after this epoch whatever comes, on the course of the learning rate that leads further; None: as
        validation decides.
    """

    def drawn(_epoch: int, rng: np.random.Generator) -> Iterator[tuple[Padded, Int64Array]]:
        pieces = cut(train_on, network.window + 1, 2, rng)
        for rows in batches(pieces.lengths - 1, cells, rng):
            batch = pad(pieces, rows)
            gaps = np.where(rng.random((len(rows), 1)) < _TIME_UNKNOWN, 0, batch.gaps[:, 1:])
            yield batch, gaps

    def loss(asked: tuple[Padded, Int64Array], generator: torch.Generator) -> Tensor:
        return _loss(network, *asked, objective, generator)

    def quality() -> float:
        assert validation is not None  # noqa: S101
        return _ndcg(network, validation[0], validation[1], mask_seen)

    steps = max(1, round(int((train_on.lengths - 1).clip(0).sum()) / cells))
    return train(
        network,
        batches=drawn,
        steps=steps,
        loss=loss,
        validate=None if validation is None else quality,
        settings=settings,
        ends=ends,
        checkpoint=checkpoint,
        progress=progress,
    )


def _loss(
    network: SequenceNetwork, batch: Padded, gaps: Int64Array, objective: Objective, generator: torch.Generator
) -> Tensor:
    """Of a batch and the buckets of time after each event but the last, int64 (b, l - 1)."""
    filled = np.flatnonzero(np.arange(batch.items.shape[1] - 1) < (batch.lengths - 1)[:, None])
    valid, items = torch.from_numpy(filled), torch.from_numpy(batch.items.astype(np.int64))
    targets = items[:, 1:].reshape(-1)[valid]
    weights = torch.from_numpy(batch.weights)[:, 1:].reshape(-1)[valid]
    after = torch.from_numpy(gaps)
    if objective.kind == "softmax":
        with autocast():
            table = network.table()
            hidden = _states_at(network, functional.embedding(items[:, :-1], table), after, valid)
        return full_softmax(hidden, table, targets, weights, has_native_bf16())
    n_items = len(network.table.known)
    draws = torch.randint(n_items, (objective.negatives,), generator=generator)
    rows, places = torch.unique(torch.cat([items.reshape(-1), targets, draws]), return_inverse=True)
    with autocast():
        vectors = network.table(rows)
        inputs, wanted, sampled = places.split([items.numel(), len(targets), len(draws)])
        read_in = functional.embedding(inputs.view(items.shape)[:, :-1], vectors)
        hidden = _states_at(network, read_in, after, valid)
        own, others = functional.embedding(wanted, vectors), functional.embedding(sampled, vectors)
        same = draws[None, :] == targets[:, None]
        if objective.kind == "sampled":
            chance = float(np.log(len(draws) / n_items))
            return sampled_softmax(hidden, own, others, same, weights, log_chance=chance)
        share = min(1.0, len(draws) / max(n_items - 1, 1))
        return calibrated_cross_entropy(
            hidden, own, others, same, weights, share=share, calibration=objective.calibration
        )


def _states_at(network: SequenceNetwork, vectors: Tensor, gaps: Tensor, valid: Tensor) -> Tensor:
    """States of the positions that have a target, without the padding."""
    whole: Tensor = network(vectors, gaps)
    return whole.reshape(-1, whole.shape[-1]).index_select(0, valid)


def _ndcg(network: SequenceNetwork, histories: Histories, answers: Int64Array, mask_seen: bool) -> float:
    """N@10 among all items."""
    table = network.table()
    hidden = torch.from_numpy(read(network, table.numpy(), histories, None))
    total = 0.0
    for start in range(0, len(histories), 512):
        part = histories.take(slice(start, min(start + 512, len(histories))))
        scores = hidden[start : start + 512] @ table.T
        wanted = torch.from_numpy(answers[start : start + 512])
        mine = scores.gather(1, wanted[:, None])
        if mask_seen:
            scores[
                torch.from_numpy(part.rows.astype(np.int64)), torch.from_numpy(part.items.astype(np.int64))
            ] = -torch.inf
        rank = (scores > mine).sum(dim=1)
        total += float(torch.where(rank < 10, 1 / torch.log2(rank + 2.0), 0.0).sum())
    return total / max(len(histories), 1)
