"""Teaching one network on several shops at once: each batch is of one shop, and is compared within its catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from palate.core import FloatArray, Histories, Int64Array
from palate.core.recommender import Arrays
from palate.models.neural.course import Course
from palate.models.neural.network import SequenceNetwork, read, vectors_of
from palate.models.neural.next_item import Objective, Step, drawn_from, foreseen, ndcg, steps_of
from palate.models.neural.packing import Padded
from palate.training.loop import Trained, train

_QUIET = 0.1
"""How loud the transformer is beside the faded mean before it has learnt anything."""


@dataclass(frozen=True)
class Lesson:
    """One shop's part of the teaching.

    Parameters
    ----------
    rows
        Where its items stand in the table of all shops' items.
    learnt
        Histories in positions of its own catalogue.
    held
        Histories and what came next, None: nothing is held out.
    mask_seen
        Whether what a history has is no answer to it.
    """

    rows: range
    learnt: Histories
    held: tuple[Histories, Int64Array] | None
    mask_seen: bool


def begin(network: SequenceNetwork) -> None:
    """Starting weights with which it answers what reads like what was taken."""
    project = network.table.project
    if project is None or network.fading is None:
        return
    with torch.no_grad():
        nn.init.eye_(project.weight)
        last: Any = network.body.last
        last.weight.fill_(_QUIET)


def learn_all(network: SequenceNetwork, lessons: Sequence[Lesson], course: Course, objective: Objective) -> Trained:
    """Teach a network on all shops.

    Parameters
    ----------
    course
        Of the training as a whole; its histories are not looked at.
    """
    cells, settings = course.cells, course.settings
    drawn = [drawn_from(lesson.learnt, network.window, cells, settings) for lesson in lessons]
    steps = [steps_of(lesson.learnt, cells) for lesson in lessons]

    def batches(epoch: int, rng: np.random.Generator) -> Iterator[tuple[int, tuple[Padded, Int64Array]]]:
        own = [draw(epoch, part) for draw, part in zip(drawn, rng.spawn(len(drawn)), strict=True)]
        for shop in rng.permutation(np.repeat(np.arange(len(own)), steps)):
            batch = next(own[shop], None)
            if batch is not None:
                yield int(shop), batch
        for shop, rest in enumerate(own):
            yield from ((shop, batch) for batch in rest)

    def loss(given: tuple[int, tuple[Padded, Int64Array]], generator: torch.Generator) -> Tensor:
        shop, batch = given
        return foreseen(network, Step.of(*batch), objective, generator, lessons[shop].rows)

    def quality() -> float:
        table = network.table().detach()
        return float(np.mean([_quality(network, table, lesson) for lesson in lessons if lesson.held is not None]))

    return train(
        network,
        batches=batches,
        steps=sum(steps),
        loss=loss,
        validate=quality if any(lesson.held is not None for lesson in lessons) else None,
        settings=settings,
        ends=course.ends,
        checkpoint=course.checkpoint,
        progress=course.progress,
    )


def _quality(network: SequenceNetwork, table: Tensor, lesson: Lesson) -> float:
    """N@10 on one shop's held-out events."""
    assert lesson.held is not None  # noqa: S101
    histories, answers = lesson.held
    own = table[lesson.rows.start : lesson.rows.stop]
    hidden = torch.from_numpy(read(network, own.numpy(), histories, None))
    return ndcg(lambda rows: hidden[rows] @ own.T, histories, answers, lesson.mask_seen)


def logits_of(network: SequenceNetwork, lesson: Lesson) -> Callable[[Histories], FloatArray]:
    """What a taught network says of a shop's items after histories; float32 (n, n_items)."""
    vectors, _ = vectors_of(network)
    own = vectors[lesson.rows.start : lesson.rows.stop]
    return lambda histories: read(network, own, histories, None) @ own.T


def taken(network: SequenceNetwork, weights: Arrays) -> None:
    """Take pretrained weights; what they do not have, such as vectors of items' own, stays as it is."""
    state = {name.removeprefix("network."): torch.from_numpy(np.array(value)) for name, value in weights.items()}
    network.load_state_dict(state, strict=False)


def moved(texts: Sequence[FloatArray]) -> list[range]:
    """Where each shop's items stand when all are put after each other."""
    ends = np.cumsum([len(part) for part in texts]).tolist()
    return [range(end - len(part), end) for end, part in zip(ends, texts, strict=True)]
