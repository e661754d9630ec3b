"""What is learnt from, what selects and what is asked, under each protocol.

================  =============================================================================================
Figures of two protocols never stand in one table: a refit alone is worth more than most methods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from palate.core import BoolArray, DataError, Int64Array, Queries, UsageError
from palate.data import Dataset, Fold, cut_at, cut_at_baskets, hold_out_last, time_quantile
from palate.data.baskets import basket_numbers
from palate.data.splits import ask_last_of_trips, asked_baskets, trip_quantile
from palate.evaluation.cases import read_cases

ProtocolName = Literal[
    "loo-strict", "loo-strict+val", "loo-refit", "temporal", "temporal-baskets", "trajectories", "cases"
]
Seen = Literal["auto", "mask", "keep"]
PROTOCOLS: tuple[str, ...] = get_args(ProtocolName)
SEEN: tuple[str, ...] = get_args(Seen)

LEARN_UNTIL, ASK_AFTER = 0.8, 0.9
"""Time quantiles of the temporal protocol; outings that began after the second are asked under trajectories."""

MINIMUM_EVENTS = 3
"""Events of interest a user needs to be asked in the leave-one-out protocols."""


@dataclass(frozen=True)
class Trial:
    """One protocol applied to one dataset.

    Parameters
    ----------
    name
        The protocol, to label every figure with.
    train
        What everything is fitted on.
    validation
        Selects and stops; None where the protocol leaves that to whoever learns.
    test
        Asked once.
    refit
        What everything is fitted on again, settings kept, before the test; None: no refit.
    learn_validation
        Whether the ranker may learn from the validation answers too.
    held_out
        bool (n_events,), the events of the whole data that nothing but the test answers may know.
    seen
        Whether seen items are left out (``mask``) or stay (``keep``).
    notes
        What was decided and what was counted, in words.
    """

    name: str
    train: Dataset
    validation: Fold | None
    test: Fold
    refit: Dataset | None
    learn_validation: bool
    held_out: BoolArray
    seen: str
    notes: tuple[str, ...]

    @property
    def inner(self) -> Literal["last", "time", "baskets"]:
        """Which questions about what is learnt from are like those that are asked."""
        if self.name == "temporal-baskets":
            return "baskets"
        return "time" if self.name in ("temporal", "trajectories") else "last"

    @property
    def learnt(self) -> Dataset:
        """The events that the tested models have seen."""
        return self.refit if self.refit is not None else self.train


def plan(dataset: Dataset, protocol: str, *, seen: str = "auto", cases: Path | None = None) -> Trial:
    """Apply a protocol to a dataset.

    Raises
    ------
    UsageError
        The protocol is unknown, or cannot be applied to this data; the message says why.
    DataError
        The file of cases cannot be used; the message names the line.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    if seen not in SEEN:
        raise UsageError(f"seen = {seen!r}; choose one of {', '.join(SEEN)}")
    if (protocol == "cases") != (cases is not None):
        raise UsageError("the protocol 'cases' needs a file of cases (--cases FILE), and no other protocol takes one")
    if protocol in ("temporal", "temporal-baskets"):
        trial = _temporal(dataset, protocol)
    elif protocol == "trajectories":
        trial = _trajectories(dataset)
    elif cases is not None:
        test, notes = read_cases(cases, dataset)
        nothing = np.zeros(dataset.n_events, dtype=bool)
        trial = Trial(protocol, dataset, None, test, None, False, nothing, seen, notes)
    else:
        trial = _leave_one_out(dataset, protocol)
    return _decide_seen(trial, seen)


def _leave_one_out(dataset: Dataset, protocol: str) -> Trial:
    # The row index survives the split, and tells afterwards which events were held out.
    numbered = replace(dataset, events=dataset.events.with_row_index("row"))
    test = hold_out_last(numbered, MINIMUM_EVENTS)
    if not len(test):
        raise UsageError(
            f"{protocol} asks users with at least {MINIMUM_EVENTS} events of interest; none of the "
            f"{dataset.n_users:,} users here has that many. Use --protocol cases with a file of questions."
        )
    held_out = np.ones(dataset.n_events, dtype=bool)
    held_out[test.dataset.events["row"].to_numpy()] = False
    test = replace(test, dataset=_unnumbered(test.dataset))
    validation = hold_out_last(test.dataset, MINIMUM_EVENTS - 1)
    left = dataset.n_users - len(test)
    notes = (
        f"{len(test):,} users asked once each; {left:,} with fewer than {MINIMUM_EVENTS} events are learnt from only",
    )
    return Trial(
        protocol,
        validation.dataset,
        validation,
        test,
        test.dataset if protocol == "loo-refit" else None,
        protocol == "loo-strict+val",
        held_out,
        "auto",
        notes,
    )


def _temporal(dataset: Dataset, protocol: str) -> Trial:
    times = dataset.events["time"].to_numpy()
    if not dataset.has_times:
        missing = int(np.isnan(times).sum())
        raise UsageError(
            f"the {protocol} protocol needs a time for every event; {missing:,} of {dataset.n_events:,} have none. "
            "Use --protocol loo-strict, which needs only the order."
        )
    learn, ask = time_quantile(dataset, LEARN_UNTIL), time_quantile(dataset, ASK_AFTER)
    cut = cut_at if protocol == "temporal" else _cut_baskets
    test = cut(dataset, learn, ask)
    if not len(test) or not test.dataset.n_events:
        what = "events" if protocol == "temporal" else "baskets of two or more items"
        raise UsageError(
            f"the {protocol} protocol needs {what} after the {ASK_AFTER:.0%} time quantile ({_day(ask)}); there are "
            "none, because most events carry the same time or stand alone. Use --protocol loo-strict."
        )
    validation = cut(dataset, learn, learn, ask)
    asked = "users active after that asked once each"
    held_out = times > ask
    if protocol == "temporal-baskets":
        asked = "users asked once each, about one item of their first basket of two or more after that"
        held_out[_rest_of_baskets(dataset, ask, test)] = False
    notes = [
        f"learnt up to {_day(learn)} ({LEARN_UNTIL:.0%} of events), validated until {_day(ask)} ({ASK_AFTER:.0%}), "
        f"{len(test):,} {asked}",
    ]
    if dataset.whole_days and protocol == "temporal":
        notes.append("times are whole days: everything a user did on the first day after the cut is relevant")
    if not len(validation):
        notes.append("nobody was active between the two quantiles; models hold out a validation part of their own")
    return Trial(
        protocol,
        test.dataset,
        validation if len(validation) else None,
        test,
        None,
        False,
        held_out,
        "auto",
        tuple(notes),
    )


def _cut_baskets(dataset: Dataset, learn_until: float, ask_at: float, until: float = np.inf) -> Fold:
    try:
        return cut_at_baskets(dataset, learn_until, ask_at, until)
    except DataError as error:
        raise UsageError(f"{error} Or use --protocol temporal.") from None


def _rest_of_baskets(dataset: Dataset, ask: float, test: Fold) -> Int64Array:
    """Rows of events that stand in the questions although they lie after the cut."""
    numbers, _ = basket_numbers(dataset)
    answers = np.full(dataset.n_users, -1, dtype=np.int32)
    answers[test.users] = test.targets.values
    sequences = dataset.sequences
    given = np.isin(numbers, asked_baskets(dataset, ask).numbers) & (sequences.items != answers[sequences.rows])
    return np.asarray(dataset.sequence_rows[given], dtype=np.int64)


def _trajectories(dataset: Dataset) -> Trial:
    if not dataset.has_times:
        missing = int(np.isnan(dataset.events["time"].to_numpy()).sum())
        raise UsageError(
            f"trajectories are told apart by the time between visits; {missing:,} of {dataset.n_events:,} events have "
            "none. Use --protocol loo-strict, which needs only the order."
        )
    begin = trip_quantile(dataset, ASK_AFTER)
    test = ask_last_of_trips(dataset, begin)
    if not len(test) or not test.dataset.n_events:
        raise UsageError(
            f"no outing of two visits or more began after {_day(begin)}, when {ASK_AFTER:.0%} of all had begun. "
            "Use --protocol temporal."
        )
    note = (
        f"outings end at gaps of 24 hours; learnt up to {_day(begin)}, when {ASK_AFTER:.0%} of them had begun; the "
        f"last visit of {len(test):,} later ones of two visits or more is asked, all earlier visits given"
    )
    times = dataset.events["time"].to_numpy()
    return Trial("trajectories", test.dataset, None, test, None, False, times >= begin, "auto", (note,))


def _decide_seen(trial: Trial, seen: str) -> Trial:
    """Settle whether seen items are masked, in every fold alike, and say so."""
    share = trial.train.repeat_share
    decided = seen
    if seen == "auto":
        decided = "keep" if trial.train.repeats else "mask"
        why = f"seen items {'stay' if decided == 'keep' else 'are masked'}: {share:.1%} of training events are repeats"
    else:
        why = f"seen items {'stay' if decided == 'keep' else 'are masked'}, as asked"
    mask = decided == "mask"
    validation = trial.validation and replace(trial.validation, queries=_masked(trial.validation.queries, mask))
    test = replace(trial.test, queries=_masked(trial.test.queries, mask))
    return replace(trial, validation=validation, test=test, seen=decided, notes=(*trial.notes, why))


def _masked(queries: Queries, mask: bool) -> Queries:
    return replace(queries, mask_seen=mask)


def _unnumbered(dataset: Dataset) -> Dataset:
    return replace(dataset, events=dataset.events.drop("row"))


def _day(time: float) -> str:
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):  # a time that no calendar has is still a time to cut at
        return f"{time:g} s"
