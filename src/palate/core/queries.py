"""Everything a recommender is asked, as one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from palate.core.arrays import Float64Array, FloatArray, IntArray
from palate.core.errors import UsageError
from palate.core.histories import Histories
from palate.core.ragged import Ragged, take_rows

_OF_EACH = (
    "candidates",
    "excludes",
    "text",
    "text_weight",
    "when",
    "where",
    "session",
    "users",
    "devices",
    "places",
)
"""What has a row for each question."""


@dataclass(frozen=True, slots=True)
class Queries:
    """A batch of n questions. One question is a batch of one; an unseen user is an ordinary question.

    Parameters
    ----------
    history
        What each asker did, oldest first.
    k
        How many items are wanted, at least 1.
    mask_seen
        Leave out items in the asker's history. False where people come back to the same things.
    candidates
        Rank only these (one list a question); all items where None.
    excludes
        Never answer these (one list a question).
    text
        A wish in words per question, "" for none.
    text_weight
        float32 (n,), share of the wish in the order of each answer; NaN or None: the engine's own.
    when
        float64 (n,), the moment asked about, seconds since 1970 UTC; NaN or None: unknown.
    where
        float64 (n, 2), latitude and longitude in degrees; NaN or None: unknown.
    session
        int32 (n,), how many of the newest events belong to the live session; None: unknown.
    users
        int32 (n,), rows of the training dataset's users for their attributes only; -1 or None: unseen.
    prices
        float32 (len(candidates.values),), what each candidate costs the asker; NaN or None: what the catalogue says.
    as_shown
        The candidates stand in the order in which the asker sees them.
    devices
        What each asks with ("mobile", "desktop", ...), "" where unknown; None: unknown.
    places
        Where each asks from, as events name it (a city, a country), "" where unknown; None: unknown.
    """

    history: Histories
    k: int = 10
    mask_seen: bool = True
    candidates: Ragged | None = None
    excludes: Ragged | None = None
    text: tuple[str, ...] | None = None
    text_weight: FloatArray | None = None
    when: Float64Array | None = None
    where: Float64Array | None = None
    session: IntArray | None = None
    users: IntArray | None = None
    prices: FloatArray | None = None
    as_shown: bool = False
    devices: tuple[str, ...] | None = None
    places: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"k = {self.k}: at least one item must be asked for")
        n = len(self.history)
        for name in _OF_EACH:
            value = getattr(self, name)
            if value is not None and len(value) != n:
                raise UsageError(f"{name} has {len(value)} rows for {n} questions")
        if self.prices is not None and self.candidates is not None and len(self.prices) != len(self.candidates.values):
            raise UsageError(
                f"{len(self.prices)} prices for {len(self.candidates.values)} candidates: each needs one, NaN where "
                "unknown"
            )

    @classmethod
    def of(cls, items: Sequence[Sequence[int] | IntArray], k: int = 10) -> Queries:
        """Questions from lists of positions of items, oldest first."""
        return cls(Histories.of(items), k=k)

    def __len__(self) -> int:
        return len(self.history)

    def take(self, rows: IntArray | slice) -> Queries:
        """These questions, in this order."""
        index = np.arange(len(self), dtype=np.int32)[rows]
        return replace(
            self,
            history=self.history.take(rows),
            candidates=None if self.candidates is None else self.candidates.take(rows),
            excludes=None if self.excludes is None else self.excludes.take(rows),
            text=None if self.text is None else tuple(self.text[i] for i in index),
            text_weight=None if self.text_weight is None else self.text_weight[rows],
            when=None if self.when is None else self.when[rows],
            where=None if self.where is None else self.where[rows],
            session=None if self.session is None else self.session[rows],
            users=None if self.users is None else self.users[rows],
            prices=self._prices_of(rows),
            devices=None if self.devices is None else tuple(self.devices[i] for i in index),
            places=None if self.places is None else tuple(self.places[i] for i in index),
        )

    def _prices_of(self, rows: IntArray | slice) -> FloatArray | None:
        """Prices of the candidates of these questions."""
        if self.prices is None or self.candidates is None:
            return None
        return self.prices[take_rows(self.candidates.indptr, rows)[1]]

    def batches(self, size: int) -> Iterator[Queries]:
        """The same questions in batches of at most ``size``, in order."""
        if len(self) <= size:
            yield self
            return
        for start in range(0, len(self), size):
            yield self.take(slice(start, min(start + size, len(self))))
