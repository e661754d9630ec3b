"""Which few items to ask a newcomer about: the answers that will say most about what to recommend.

People are taken to be of classes, each with its own share of attention for every item (a mixture of multinomials,
learnt by expectation maximisation; Hofmann, 2004). What somebody answers makes classes more or less likely, so each
question can follow from the answers before it (Golbandi et al., 2011). Asked is the item whose answer is expected to
raise most what the best ten recommendations are worth: popular enough that many know it, disputed enough to tell
people apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import Field
from scipy import sparse
from scipy.special import xlogy

from palate.core import BoolArray, FloatArray, IntArray, Settings
from palate.core.rankings import select
from palate.data import Dataset
from palate.models.linear import binary

_LISTED = 10
"""Length of the list whose worth counts."""
_DISCOUNTS = (1.0 / np.log2(np.arange(2, _LISTED + 2))).astype(np.float32)
_CELLS = 8_000_000
"""Cells of expected interest worked out at once: 32 MB."""
_SUREST = (1e-4, 1 - 1e-4)
"""No answer of one class is certain: people err, and classes are coarse."""


class ElicitationSettings(Settings):
    """How people are told apart, and how far a question looks.

    Parameters
    ----------
    classes
        How many classes; fewer where there are few people.
    iterations
        Rounds of expectation maximisation.
    smoothing
        Events of the shop as a whole that every class is taken to have beside its own.
    people
        At most so many are learnt from, drawn by seed.
    shortlist
        Items whose answers tell most of the class; of these the one is asked that serves the list best.
    seed
        Of the starting classes.
    """

    classes: int = Field(default=40, ge=1)
    iterations: int = Field(default=20, ge=1)
    smoothing: float = Field(default=200.0, gt=0)
    people: int = Field(default=20_000, ge=1)
    shortlist: int = Field(default=40, ge=1)
    seed: int = 0


@dataclass(frozen=True)
class TasteClasses:
    """Classes of people.

    Parameters
    ----------
    shares
        float32 (c,), share of people in each.
    tastes
        float32 (c, n_items), share of a class's events that each item has; rows sum to 1.
    events
        How many different items somebody has typically had: what a newcomer can know.
    """

    shares: FloatArray
    tastes: FloatArray
    events: float

    @classmethod
    def of(cls, dataset: Dataset, settings: ElicitationSettings | None = None) -> Self:
        """Learn the classes from who had what."""
        settings = settings or ElicitationSettings()
        rng = np.random.default_rng([settings.seed, 11])
        seen = binary(dataset.matrix())
        seen = seen[np.flatnonzero(np.diff(seen.indptr) > 0)]
        if seen.shape[0] > settings.people:
            seen = seen[np.sort(rng.permutation(seen.shape[0])[: settings.people])]
        count = int(np.clip(seen.shape[0] // 10, 1, settings.classes))
        overall = np.asarray(seen.sum(axis=0)).ravel() + 1e-3
        overall = (overall / overall.sum()).astype(np.float32)
        # Starts from people at random, each the heart of a class.
        hearts = (
            seen[rng.permutation(seen.shape[0])[:count]].toarray() if seen.shape[0] else np.zeros((1, len(overall)))
        )
        tastes, shares = _smoothed(hearts, overall, settings.smoothing), np.full(count, 1 / count, np.float32)
        for _ in range(settings.iterations if seen.shape[0] else 0):
            member = _softmax(np.asarray(seen @ np.log(tastes).T) + np.log(shares))
            tastes = _smoothed(np.asarray(sparse.csr_matrix(seen.T) @ member).T, overall, settings.smoothing)
            shares = ((member.sum(axis=0) + 1) / (len(member) + count)).astype(np.float32)
        return cls(shares, tastes, float(seen.getnnz() / max(seen.shape[0], 1)))

    @property
    def n_items(self) -> int:
        return int(self.tastes.shape[1])

    def knows(self, items: IntArray) -> FloatArray:
        """How likely somebody of each class has had these items; float32 (c, k)."""
        chance = -np.expm1(-self.events * self.tastes[:, items].astype(np.float64))
        return np.clip(chance, *_SUREST).astype(np.float32)

    def told(self, beliefs: FloatArray, items: IntArray, liked: BoolArray) -> FloatArray:
        """Beliefs after one more answer each.

        Parameters
        ----------
        beliefs
            float32 (n, c), how likely each of n people is of each class; rows sum to 1.
        items, liked
            int32 (n,) and bool (n,): what each was asked, and whether they know and like it.
        """
        chance = self.knows(items).T
        after = beliefs * np.where(liked[:, None], chance, 1 - chance)
        return np.asarray(after / after.sum(axis=1, keepdims=True), dtype=np.float32)

    def nobody(self, n: int = 1) -> FloatArray:
        """Beliefs about n people who have answered nothing; float32 (n, c)."""
        return np.tile(self.shares, (n, 1))

    def after(self, answers: Sequence[tuple[int, bool]]) -> FloatArray:
        """Beliefs about one person after these answers, items newer than the classes left out; float32 (1, c)."""
        beliefs = self.nobody()
        for item, liked in answers:
            if item < self.n_items:
                beliefs = self.told(beliefs, np.array([item], np.int32), np.array([liked]))
        return beliefs

    def next_question(self, beliefs: FloatArray, may: BoolArray, shortlist: int = 40) -> IntArray:
        """What to ask each of n people next; int32 (n,), -1 where nothing is left to ask.

        Parameters
        ----------
        beliefs
            float32 (n, c).
        may
            bool (n, n_items), what may be asked.
        """
        answer = np.full(len(beliefs), -1, dtype=np.int32)
        step = max(1, _CELLS // (2 * shortlist * max(self.n_items, 1)))
        for start in range(0, len(beliefs), step):
            rows = slice(start, min(start + step, len(beliefs)))
            answer[rows] = self._next(beliefs[rows], may[rows], shortlist)
        return answer

    def ask(self, answers: Sequence[tuple[int, bool]], n: int, may: BoolArray, shortlist: int = 40) -> list[int]:
        """The next n questions to one person after these answers, most telling first.

        Only the first knows all answers; each further one is chosen for the likelier answer to those before it.

        Parameters
        ----------
        answers
            Items asked, and whether they were known and liked.
        may
            bool (n_items,), what may be asked; what was asked is not asked again.
        """
        beliefs, left = self.after(answers), may[None, : self.n_items].copy()
        left[0, [item for item, _ in answers if item < self.n_items]] = False
        questions: list[int] = []
        while len(questions) < n:
            item = self.next_question(beliefs, left, shortlist)
            if item[0] < 0:
                break
            questions.append(int(item[0]))
            left[0, item[0]] = False
            likely = beliefs @ self.knows(item)[:, 0] > 0.5
            beliefs = self.told(beliefs, item, likely)
        return questions

    def expected(self, beliefs: FloatArray) -> FloatArray:
        """Expected share of attention that each item has; float32 (n, n_items)."""
        return beliefs @ self.tastes

    def _next(self, beliefs: FloatArray, may: BoolArray, shortlist: int) -> IntArray:
        chances = self._chances
        likely = beliefs @ chances
        told = np.where(may, _entropy(likely) - beliefs @ _entropy(chances), -np.inf).astype(np.float32)
        items = select(told, min(shortlist, self.n_items))
        possible = np.take_along_axis(may, items, axis=1)
        n, k = items.shape
        chance = chances[:, items.ravel()].T.reshape(n, k, -1)
        known = np.take_along_axis(likely, items, axis=1)
        worth = np.zeros((n, k), dtype=np.float32)
        for said, share in ((chance, known), (1 - chance, 1 - known)):
            after = (beliefs[:, None, :] * said / share[:, :, None]).reshape(n * k, -1)
            listed = self.expected(after)
            best = -np.sort(-np.partition(listed, -min(_LISTED, self.n_items), axis=1)[:, -_LISTED:], axis=1)
            worth += share * (best @ _DISCOUNTS[: best.shape[1]]).reshape(n, k)
        chosen = items[np.arange(n), np.where(possible, worth, -np.inf).argmax(axis=1)]
        return np.where(possible.any(axis=1), chosen, -1).astype(np.int32)

    @property
    def _chances(self) -> FloatArray:
        return self.knows(np.arange(self.n_items, dtype=np.int32))


def _smoothed(counts: np.ndarray, overall: FloatArray, smoothing: float) -> FloatArray:
    mixed = counts + smoothing * overall
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True), dtype=np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def _entropy(chance: FloatArray) -> FloatArray:
    return np.asarray(-xlogy(chance, chance) - xlogy(1 - chance, 1 - chance), dtype=np.float32)
