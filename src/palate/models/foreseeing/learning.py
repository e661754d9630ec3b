"""From a dataset to what foresees: occasions split in time, inputs, bodies that compete, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from palate.core import BoolArray, DataError, Float64Array
from palate.core.ids import id_hash
from palate.core.recommender import Arrays
from palate.data import Dataset
from palate.language import TextEncoder
from palate.models.foreseeing.bank import Bank
from palate.models.foreseeing.bodies import Foresees, Lessons, Linear, Trees, loss_of
from palate.models.foreseeing.certainty import Certainty
from palate.models.foreseeing.occasions import Occasions, occasions, rating_threshold, settled
from palate.models.foreseeing.settings import BODIES, KINDS, NextBehaviourSettings
from palate.models.foreseeing.standing import Standing
from palate.models.foreseeing.table import Asked, Inputs, Windows, table
from palate.training import Report


@dataclass(frozen=True)
class Learnt:
    """All that answers.

    Parameters
    ----------
    bank
        What is known of items and moments.
    taken
        bool (kinds of event,), which say that something was taken.
    standing, certainty, body
        By kind: how items stand, the calibration, the name of the body that answers.
    bodies
        By name.
    threshold
        From where on a rating is high; NaN where nobody rates.
    notes
        What was decided, in words.
    losses
        Log loss on validation by kind and body.
    """

    bank: Bank
    taken: BoolArray
    standing: Mapping[str, Standing]
    certainty: Mapping[str, Certainty]
    body: Mapping[str, str]
    bodies: Mapping[str, Foresees]
    threshold: float
    notes: tuple[str, ...] = ()
    losses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Kind:
    """Occasions of one kind, and which of them validate."""

    found: Occasions
    held: BoolArray
    inputs: Inputs
    standing: Standing

    def lessons(self, held: bool | None) -> tuple[Inputs, BoolArray]:
        """Those that validate, those that do not, or all where None."""
        rows = np.arange(len(self.held)) if held is None else np.flatnonzero(self.held == held)
        own = self.inputs
        part = replace(own, row=own.row[rows], items=own.items[rows], numbers=own.numbers[rows], past=own.past[rows])
        return part, self.found.happened[rows]


def learn(
    dataset: Dataset, encoder: TextEncoder, settings: NextBehaviourSettings, progress: Report | None = None
) -> Learnt:
    """Learn every kind that the data has enough occasions of.

    Raises
    ------
    DataError
        It has enough of none.
    """
    notes: list[str] = []
    found = {kind: _enough(dataset, kind, settings, notes) for kind in KINDS}
    kinds = {kind: own for kind, own in found.items() if own is not None}
    if not kinds:
        raise DataError("nothing can be foreseen from this data: " + "; ".join(notes))
    _say(progress, "read the moments", 0.0)
    bank = Bank.of(dataset, encoder, settings.dimensions, settings.time_zone)
    taken = taken_kinds(dataset)
    told = {kind: _told(dataset, kind, own, bank, settings=settings) for kind, own in kinds.items()}
    lessons = {kind: own.lessons(False) for kind, own in told.items()}
    held = {kind: own.lessons(True) for kind, own in told.items()}
    names = BODIES if settings.body == "auto" else (settings.body,)
    bodies: dict[str, Foresees] = {}
    for place, name in enumerate(names):
        _say(progress, f"teach {name}", place / len(names))
        bodies[name] = taught(name, lessons, held, bank, settings)
    odds = {kind: {name: body.odds(kind, held[kind][0], bank) for name, body in bodies.items()} for kind in told}
    losses = {kind: {name: loss_of(own, held[kind][1]) for name, own in odds[kind].items()} for kind in told}
    body = {kind: min(names, key=lambda name, kind=kind: losses[kind][name]) for kind in told}
    certainty = {kind: _certainty(kind, odds[kind][body[kind]], own, settings) for kind, own in told.items()}
    if settings.body == "auto":
        notes += [f"{kind}: {body[kind]} foresees best" for kind in told]
    standing = {kind: own.standing for kind, own in told.items()}
    threshold = rating_threshold(dataset, settings)
    whole = {kind: own.lessons(None) for kind, own in told.items()}
    used = {name: _again(own, whole, bank, settings) for name, own in bodies.items() if name in body.values()}
    return Learnt(bank, taken, standing, certainty, body, used, threshold, tuple(notes), losses)


def taught(name: str, lessons: Lessons, held: Lessons, bank: Bank, settings: NextBehaviourSettings) -> Foresees:
    """A body by name, taught."""
    if name == "linear":
        return Linear.learn(lessons, bank, settings)
    if name in ("trees", "forest"):
        return Trees.learn(lessons, held, bank, settings, forest=name == "forest")
    from palate.models.foreseeing.network import learn as learn_network

    return learn_network(lessons, held, bank, settings, cell=name)


def _again(body: Foresees, whole: Lessons, bank: Bank, settings: NextBehaviourSettings) -> Foresees:
    """The same body, as large as validation had it, taught on all occasions; a network stays as it is."""
    if isinstance(body, Linear):
        return Linear.learn(whole, bank, settings)
    if isinstance(body, Trees):
        return Trees.learn(whole, {}, bank, settings, forest=body.forest, rounds=body.sizes)
    return body


def taken_kinds(dataset: Dataset) -> BoolArray:
    """Which kinds of event say that something was taken: those that weigh most of all there are."""
    weights = dataset.kinds.weights
    present = np.unique(dataset.sequences.kinds)
    highest = float(weights[present].max()) if len(present) else 1.0
    return np.asarray(weights >= highest)


def _enough(dataset: Dataset, kind: str, settings: NextBehaviourSettings, notes: list[str]) -> Occasions | None:
    """Occasions of a kind, at most as many as are learnt from; None, and a note why, where they are too few."""
    rng = np.random.default_rng([settings.seed, id_hash(kind) % 2**32])
    try:
        found = occasions(dataset, kind, settings, rng)
    except DataError as error:
        notes.append(f"{kind} is not foreseen: {error}")
        return None
    happened = int(found.happened.sum())
    rarer = min(happened, len(found) - happened)
    if rarer < settings.least:
        notes.append(
            f"{kind} is not foreseen: of {len(found):,} occasions it happened on {happened:,}; at least "
            f"{settings.least:,} of each outcome are needed"
        )
        return None
    most = settings.examples // (1 + settings.negatives if kind == "view" else 1)
    groups = np.unique(found.groups)
    if len(groups) > most:
        found = found.take(np.isin(found.groups, rng.choice(groups, most, replace=False)))
    return found


def _told(dataset: Dataset, kind: str, found: Occasions, bank: Bank, *, settings: NextBehaviourSettings) -> _Kind:
    """Inputs of the occasions of one kind, each knowing nothing that came after it."""
    ordered = replace(found, times=_order(dataset, found))
    histories, row = found.known(dataset, settings.window)
    windows = Windows.of(histories, settings.window, dataset.n_items, settings.time_zone)
    standing = Standing.of(dataset, found, settings.strength)
    known = standing.then(dataset, ordered, bank.category, settled(ordered, kind, settings))
    asked = Asked(row, found.items, found.times, found.prices)
    inputs = table(bank, windows, asked, known, taken=taken_kinds(dataset), zone=settings.time_zone)
    # Whole groups fall on one side: they share a moment.
    return _Kind(found, _later(ordered.times, settings.validation), inputs, standing)


def _order(dataset: Dataset, found: Occasions) -> Float64Array:
    """When each occasion was; where times are missing, how much the person had done before."""
    if np.isfinite(found.times).all():
        return found.times
    return (found.stops - dataset.sequences.indptr[:-1][found.users]).astype(np.float64)


def _later(times: Float64Array, share: float) -> BoolArray:
    """The last of the occasions; where many share one moment, neither side is left empty."""
    cut = float(np.quantile(times, 1 - share, method="lower"))
    later = times > cut
    return later if later.any() else np.asarray(times >= cut) if (times < cut).any() else _every_fifth(len(times))


def _every_fifth(n: int) -> BoolArray:
    return np.asarray(np.arange(n) % 5 == 4)


def _certainty(kind: str, odds: Float64Array, own: _Kind, settings: NextBehaviourSettings) -> Certainty:
    held = own.held
    return Certainty.of(
        odds, own.found.happened[held], own.found.users[held], straight=kind == "view", seed=settings.seed
    )


def _say(progress: Report | None, what: str, share: float) -> None:
    if progress is not None:
        progress(what, share)


def written(state: Learnt) -> Arrays:
    """All that answers, as arrays."""
    whole: dict[str, Any] = {**state.bank.arrays(), "taken": state.taken, "threshold": np.array([state.threshold])}
    for kind in state.standing:
        whole |= state.standing[kind].arrays(kind) | state.certainty[kind].arrays(kind)
        whole[f"body.{kind}"] = np.array([BODIES.index(state.body[kind])], dtype=np.int8)
    for name, body in state.bodies.items():
        whole |= {f"{name}.{key}": value for key, value in body.arrays().items()}
    return whole


def restored(arrays: Arrays, settings: NextBehaviourSettings) -> Learnt:
    """What ``written`` gave."""
    bank = Bank.restore(arrays)
    kinds = [kind for kind in KINDS if f"body.{kind}" in arrays]
    body = {kind: BODIES[int(arrays[f"body.{kind}"][0])] for kind in kinds}
    bodies = {name: _body(name, _below(arrays, f"{name}."), bank, settings) for name in dict.fromkeys(body.values())}
    return Learnt(
        bank,
        np.asarray(arrays["taken"]),
        {kind: Standing.restore(kind, arrays) for kind in kinds},
        {kind: Certainty.restore(kind, arrays) for kind in kinds},
        body,
        bodies,
        float(arrays["threshold"][0]),
    )


def _below(arrays: Arrays, start: str) -> dict[str, Any]:
    return {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}


def _body(name: str, arrays: Arrays, bank: Bank, settings: NextBehaviourSettings) -> Foresees:
    if name == "linear":
        return Linear.restore(arrays)
    if name in ("trees", "forest"):
        return Trees.restore(arrays, name == "forest")
    from palate.models.foreseeing.network import Reader

    return Reader.restore(arrays, bank.size, settings, name)
