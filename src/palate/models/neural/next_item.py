"""Teaching a network to foresee the next item: pieces of histories in, a loss out, validation by N@10."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from palate.core import Histories, Int64Array
from palate.language.transformer import has_native_bf16
from palate.models.neural.course import Course
from palate.models.neural.losses import calibrated_cross_entropy, full_softmax, sampled_softmax
from palate.models.neural.network import SequenceNetwork, autocast, read
from palate.models.neural.packing import Padded, batches, cropped, cut, pad, reordered
from palate.models.neural.settings import ReaderSettings
from palate.training.loop import Batches, Loss, Trained, train

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


def learn(network: SequenceNetwork, course: Course, objective: Objective) -> Trained:
    """Teach a network to foresee the next item."""

    def loss(given: tuple[Padded, Int64Array], generator: torch.Generator) -> Tensor:
        return foreseen(network, Step.of(*given), objective, generator)

    def quality(histories: Histories, answers: Int64Array) -> float:
        table = network.table()
        hidden = torch.from_numpy(read(network, table.numpy(), histories, None))
        return ndcg(lambda rows: hidden[rows] @ table.T, histories, answers, course.mask_seen)

    return taught(network, network.window, course, loss, quality)


def taught(
    network: nn.Module,
    window: int,
    course: Course,
    loss: Loss,
    quality: Callable[[Histories, Int64Array], float],
) -> Trained:
    """Teach a network that reads histories.

    Parameters
    ----------
    window
        Newest events that are read.
    loss
        Of batches as ``drawn_from`` gives them.
    quality
        The validation figure of histories and what came next.
    """
    held = course.held
    return train(
        network,
        batches=drawn_from(course.learnt, window, course.cells, course.settings),
        steps=steps_of(course.learnt, course.cells),
        loss=loss,
        validate=None if held is None else lambda: quality(*held),
        settings=course.settings,
        ends=course.ends,
        checkpoint=course.checkpoint,
        progress=course.progress,
    )


def drawn_from(train_on: Histories, window: int, cells: int, settings: ReaderSettings) -> Batches:
    """Batches of pieces of histories with the time after each event, some without times, varied as settings say."""

    def drawn(_epoch: int, rng: np.random.Generator) -> Iterator[tuple[Padded, Int64Array]]:
        pieces = cut(train_on, window + 1, 2, rng)
        # What is not asked for draws nothing, so that the rest is drawn as it would be without it.
        if settings.crop:
            pieces = cropped(pieces, settings.crop, rng)
        for rows in batches(pieces.lengths - 1, cells, rng):
            batch = pad(pieces, rows)
            if settings.reorder:
                batch = reordered(batch, settings.reorder, rng)
            yield batch, np.where(rng.random((len(rows), 1)) < _TIME_UNKNOWN, 0, batch.gaps[:, 1:])

    return drawn


def steps_of(train_on: Histories, cells: int) -> int:
    """Batches of an epoch, about."""
    return max(1, round(int((train_on.lengths - 1).clip(0).sum()) / cells))


@dataclass(frozen=True)
class Step:
    """A batch as the network takes it.

    Parameters
    ----------
    items
        int64 (b, l + 1), events; each but the first is to be foreseen from those before it.
    gaps
        int64 (b, l), buckets of time after each event but the last.
    valid
        int64 (p,), where among the b * l flattened positions something is to be foreseen.
    targets, weights
        int64 (p,), what; float32 (p,), how much it counts.
    """

    items: Tensor
    gaps: Tensor
    valid: Tensor
    targets: Tensor
    weights: Tensor

    @classmethod
    def of(cls, batch: Padded, gaps: Int64Array) -> Self:
        """What ``drawn_from`` gave."""
        items = torch.from_numpy(batch.items.astype(np.int64))
        filled = np.flatnonzero(np.arange(items.shape[1] - 1) < (batch.lengths - 1)[:, None])
        valid = torch.from_numpy(filled)
        weights = torch.from_numpy(batch.weights)[:, 1:].reshape(-1)[valid]
        return cls(items, torch.from_numpy(gaps), valid, items[:, 1:].reshape(-1)[valid], weights)

    def states(self, network: SequenceNetwork, vectors: Tensor) -> Tensor:
        """States of the positions that have a target, without the padding; vectors (b, l, d) are those of events."""
        whole: Tensor = network(vectors, self.gaps)
        return whole.reshape(-1, whole.shape[-1]).index_select(0, self.valid)


def foreseen(
    network: SequenceNetwork,
    step: Step,
    objective: Objective,
    generator: torch.Generator,
    among: range | None = None,
) -> Tensor:
    """How badly a batch was foreseen.

    Parameters
    ----------
    among
        Rows of the table that are the catalogue in which the batch's positions count; None: all.
    """
    items, targets, weights = step.items, step.targets, step.weights
    among = range(len(network.table.known)) if among is None else among
    n_items = len(among)
    if objective.kind == "softmax":
        with autocast():
            whole = n_items == len(network.table.known)
            table = network.table(None if whole else torch.arange(among.start, among.stop))
            hidden = step.states(network, functional.embedding(items[:, :-1], table))
        return full_softmax(hidden, table, targets, weights, has_native_bf16())
    draws = torch.randint(n_items, (objective.negatives,), generator=generator)
    rows, places = torch.unique(torch.cat([items.reshape(-1), targets, draws]), return_inverse=True)
    with autocast():
        vectors = network.table(rows + among.start)
        inputs, wanted, sampled = places.split([items.numel(), len(targets), len(draws)])
        hidden = step.states(network, functional.embedding(inputs.view(items.shape)[:, :-1], vectors))
        own, others = functional.embedding(wanted, vectors), functional.embedding(sampled, vectors)
        same = draws[None, :] == targets[:, None]
        if objective.kind == "sampled":
            chance = float(np.log(len(draws) / n_items))
            return sampled_softmax(hidden, own, others, same, weights, log_chance=chance)
        share = min(1.0, len(draws) / max(n_items - 1, 1))
        return calibrated_cross_entropy(
            hidden, own, others, same, weights, share=share, calibration=objective.calibration
        )


def ndcg(score: Callable[[slice], Tensor], histories: Histories, answers: Int64Array, mask_seen: bool) -> float:
    """N@10 among all items.

    Parameters
    ----------
    score
        Scores of all items for some of the questions; float32 (rows, n_items), written to.
    """
    total = 0.0
    for start in range(0, len(histories), 512):
        rows = slice(start, min(start + 512, len(histories)))
        part, scores = histories.take(rows), score(rows)
        mine = scores.gather(1, torch.from_numpy(answers[rows])[:, None])
        if mask_seen:
            scores[
                torch.from_numpy(part.rows.astype(np.int64)), torch.from_numpy(part.items.astype(np.int64))
            ] = -torch.inf
        rank = (scores > mine).sum(dim=1)
        total += float(torch.where(rank < 10, 1 / torch.log2(rank + 2.0), 0.0).sum())
    return total / max(len(histories), 1)
