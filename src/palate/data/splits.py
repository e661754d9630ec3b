"""What may be learnt from, and what is asked afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from palate.core import DataError, Float64Array, Int64Array, IntArray, Queries, Ragged
from palate.core.ragged import take_rows
from palate.data.baskets import Baskets, basket_numbers
from palate.data.dataset import DAY, Dataset


@dataclass(frozen=True)
class Fold:
    """Questions with known answers, and the data that lies before them.

    Parameters
    ----------
    dataset
        Everything that may be learnt from.
    queries
        n questions; each history ends before its answer.
    targets
        The relevant items of each question.
    users
        int32 (n,), user of each question; -1 where there is none.
    """

    dataset: Dataset
    queries: Queries
    targets: Ragged
    users: IntArray

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, rows: IntArray | slice) -> Fold:
        """These questions over the same data."""
        return replace(self, queries=self.queries.take(rows), targets=self.targets.take(rows), users=self.users[rows])


def hold_out_last(dataset: Dataset, minimum: int = 2, count: int = 1) -> Fold:
    """Hold out each user's last events of interest, and whatever the user did from the first of them on.

    Parameters
    ----------
    minimum
        Users with fewer events of interest are left whole and are not asked.
    count
        Events held out of each user, at most a fifth of the history but at least one. Each is a question of its own,
        whose history ends just before it.
    """
    sequences = dataset.sequences
    lengths = sequences.lengths
    users = np.nonzero(lengths >= max(minimum, 1))[0].astype(np.int32)
    held = np.minimum(count, np.maximum(lengths[users] // 5, 1))
    first = sequences.indptr[1:][users] - held
    cut = dataset.user_offsets[1:].copy()
    cut[users] = dataset.sequence_rows[first]
    keep = np.arange(dataset.n_events) < cut[dataset.events["user"].to_numpy()]
    asked = np.repeat(users, held)
    answers = np.repeat(first, held) + np.arange(held.sum()) - np.repeat(np.cumsum(held) - held, held)
    history = sequences.between(sequences.indptr[:-1][asked], answers)
    queries = Queries(history, when=sequences.times[answers], users=asked)
    queries = asked_from(dataset, queries, dataset.sequence_rows[answers])
    return Fold(dataset.only(keep), queries, Ragged.of(sequences.items[answers, None]), asked)


def cut_at(dataset: Dataset, learn_until: float, ask_at: float, until: float = np.inf) -> Fold:
    """One cut in global time.

    Parameters
    ----------
    learn_until
        Events up to and including this time (seconds) are learnt from.
    ask_at
        Every user with an event of interest in (``ask_at``, ``until``] is asked once; the history is all up to and
        including ``ask_at``. Relevant is the first later event, or that day's events where times are whole days.

    Raises
    ------
    DataError
        Some events have no time.
    """
    _check_times(dataset)
    times = dataset.events["time"].to_numpy()
    sequences = dataset.sequences
    rows, after = sequences.rows, (sequences.times > ask_at) & (sequences.times <= until)
    users = np.unique(rows[after]).astype(np.int32)
    first = np.full(dataset.n_users, np.inf)
    np.minimum.at(first, rows[after], sequences.times[after])
    earliest = np.nonzero(after & (sequences.times == first[rows]))[0]
    _, index = np.unique(rows[earliest], return_index=True)
    earliest = earliest[index]
    if dataset.whole_days:
        relevant = after & (sequences.times < first[rows] + DAY)
    else:
        # The first in time, which need not be the first in order where the data has positions of its own.
        relevant = np.zeros(len(rows), dtype=bool)
        relevant[earliest] = True
    counts = np.bincount(rows[relevant], minlength=dataset.n_users)[users]
    targets = Ragged(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), sequences.items[relevant])
    history = dataset.only(times <= ask_at).queries(users)
    queries = asked_from(dataset, replace(history, when=first[users]), dataset.sequence_rows[earliest])
    return Fold(dataset.only(times <= learn_until), queries, targets, users)


def asked_from(dataset: Dataset, queries: Queries, rows: Int64Array) -> Queries:
    """The same questions with what they are asked with and from where, as far as the events say.

    The device is that of the answer: who asks holds it. The place is that of the event before it, as a place where
    somebody checks in would be the answer itself.

    Parameters
    ----------
    rows
        int64 (n,), the event that answers each question.
    """
    events, devices, places = dataset.events, None, None
    if "device" in events.columns:
        devices = tuple(events["device"].gather(rows).fill_null("").to_list())
    if "place" in events.columns:
        before = np.maximum(rows - 1, 0)
        mine = events["user"].gather(before) == events["user"].gather(rows)
        there = mine & pl.Series(rows > 0)
        told = events["place"].gather(before).fill_null("")
        places = tuple(place if known else "" for place, known in zip(told, there, strict=True))
    return replace(queries, devices=devices, places=places)


def time_quantile(dataset: Dataset, share: float) -> float:
    """Time by which this share of all events had happened, in seconds."""
    times: Float64Array = dataset.events["time"].to_numpy()
    return float(np.quantile(times, share, method="lower"))


def cut_at_baskets(dataset: Dataset, learn_until: float, ask_at: float, until: float = np.inf, each: int = 1) -> Fold:
    """One cut in global time, and baskets to complete.

    Every user is asked about the first basket of two or more different items begun in (``ask_at``, ``until``]: one of
    its items is held out, and what else is in it is the session, after everything up to and including ``ask_at``. What
    is in the basket is excluded from the answer, as nobody needs to be told of it. Which item is held out is drawn by
    the moment and the place in the basket, whatever items are called: the last one would be told by the order of lines.

    Parameters
    ----------
    learn_until
        Events up to and including this time (seconds) are learnt from.
    each
        At most so many items of a basket are held out, each a question of its own.

    Raises
    ------
    DataError
        Some events have no time, or nothing says which events belong together.
    """
    sequences = dataset.sequences
    numbers, _ = basket_numbers(dataset)
    asked = asked_baskets(dataset, ask_at, until)
    contents = asked.contents
    place = np.arange(len(contents.values)) - np.repeat(contents.indptr[:-1], contents.lengths)
    drawn = _scattered(asked.times.view(np.uint64)[contents.rows] + _scattered(place.astype(np.uint64)))
    order = np.lexsort((drawn, contents.rows))
    chosen = order[place < each]
    rows, targets = contents.rows[chosen], contents.values[chosen]
    users = asked.users[rows]
    indptr, flat = take_rows(sequences.indptr, users)
    question = np.repeat(np.arange(len(users)), np.diff(indptr))
    within = (numbers[flat] == asked.numbers[rows][question]) & (sequences.items[flat] != targets[question])
    history = sequences.take(users)
    inside = history.where(within)
    queries = Queries(
        history.where((history.times <= ask_at) | within),
        excludes=Ragged(inside.indptr, inside.items),
        when=asked.times[rows],
        session=inside.lengths.astype(np.int32),
        users=users,
    )
    learnt = dataset.events["time"].to_numpy() <= learn_until
    return Fold(dataset.only(learnt), queries, Ragged.of(targets[:, None]), users)


def asked_baskets(dataset: Dataset, ask_at: float, until: float = np.inf) -> Baskets:
    """The first basket of two or more different items that each user began in (``ask_at``, ``until``].

    Raises
    ------
    DataError
        Some events have no time, or nothing says which events belong together.
    """
    _check_times(dataset)
    baskets = Baskets.of(dataset)
    begun = (baskets.times > ask_at) & (baskets.times <= until) & (baskets.contents.lengths > 1)
    rows = np.flatnonzero(begun).astype(np.int32)
    return baskets.take(rows[np.unique(baskets.users[rows], return_index=True)[1]])


def _scattered(keys: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Numbers in an order that has nothing to do with theirs (the finaliser of SplitMix64; Steele et al., 2014)."""
    mixed = keys + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _check_times(dataset: Dataset) -> None:
    if not dataset.has_times:
        missing = int(np.isnan(dataset.events["time"].to_numpy()).sum())
        raise DataError(
            f"a split in time needs a time for every event; {missing:,} of {dataset.n_events:,} have none. "
            "Use --protocol loo-strict, which needs only the order."
        )


def trips(dataset: Dataset, gap: float = DAY) -> Ragged:
    """Outings: visits of one user with at most ``gap`` seconds between each and the next.

    Returns
    -------
    One row an outing, the positions of its visits in ``dataset.sequences``, by user and then by time.

    Raises
    ------
    DataError
        Some events have no time.
    """
    sequences = dataset.sequences
    missing = int(np.isnan(sequences.times).sum())
    if missing:
        raise DataError(
            f"outings are told apart by the time between visits; {missing:,} of {len(sequences.times):,} have none. "
            "Use --protocol loo-strict, which needs only the order."
        )
    rows, times = sequences.rows, sequences.times
    begins = np.ones(len(rows), dtype=bool)
    begins[1:] = (rows[1:] != rows[:-1]) | (np.diff(times) >= gap)
    starts = np.flatnonzero(begins)
    return Ragged(np.append(starts, len(rows)).astype(np.int64), np.arange(len(rows), dtype=np.int32))


def ask_last_of_trips(dataset: Dataset, begin: float, end: float = np.inf, gap: float = DAY) -> Fold:
    """Ask where each outing of two visits or more ended, of those that began from ``begin`` to before ``end``.

    The history is everything the user did before, in this outing and in all others; learnt from is what happened
    before ``begin``.

    Parameters
    ----------
    gap
        Seconds between two visits from which on the second begins another outing.
    """
    outings, sequences = trips(dataset, gap), dataset.sequences
    first = sequences.times[outings.indptr[:-1]] if len(outings) else np.zeros(0)
    chosen = (first >= begin) & (first < end) & (outings.lengths >= 2)
    answers = outings.indptr[1:][chosen] - 1
    users = sequences.rows[answers]
    history = sequences.between(sequences.indptr[:-1][users], answers)
    queries = Queries(history, when=sequences.times[answers], users=users)
    earlier = dataset.only(dataset.events["time"].to_numpy() < begin)
    return Fold(earlier, queries, Ragged.of(sequences.items[answers, None]), users)


def trip_quantile(dataset: Dataset, share: float, gap: float = DAY) -> float:
    """Time in seconds by which this share of all outings had begun."""
    outings = trips(dataset, gap)
    begun = np.sort(dataset.sequences.times[outings.indptr[:-1]])
    return float(begun[min(int(share * len(begun)), len(begun) - 1)])
