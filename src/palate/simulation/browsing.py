"""What people do on each visit: a wish, things looked at, a basket. All users' n-th visits are played at once."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from palate.core import BoolArray, Float64Array, FloatArray, IntArray
from palate.simulation.assortment import DAY
from palate.simulation.people import Visits
from palate.simulation.truth import MOOD, Truth, logistic
from palate.simulation.vocabulary import Vocabulary

MOST_VIEWS = 8
EXTRA_VIEWS = 2
_WANDER = 0.3
_COMPLETES = 0.4
_ADDS = 0.55


@dataclass(frozen=True, slots=True)
class Shelves:
    """Items by section, padded, and what a section implies.

    Parameters
    ----------
    members
        int32 (S, m), items of each section, -1 pads.
    repeat
        float64 (S,), days until a buyer runs out, 0 for never.
    sale
        float64 (S,), how much more the section is wanted on sale days, in logs.
    """

    members: IntArray
    repeat: Float64Array
    sale: Float64Array


@dataclass(frozen=True, slots=True)
class Looks:
    """One row for each time somebody looked at an item (or ordered it again without looking).

    Parameters
    ----------
    visit, user, item
        int32 (m,); ``visit`` is a row of ``Visits``.
    time
        float64 (m,), seconds since 1970 UTC.
    dwell
        float32 (m,), seconds.
    price
        float64 (m,), EUR asked.
    bought, carted, looked
        bool (m,); ``looked`` is false for repeat orders, which skip the item's page.
    """

    visit: IntArray
    user: IntArray
    item: IntArray
    time: Float64Array
    dwell: FloatArray
    price: Float64Array
    bought: BoolArray
    carted: BoolArray
    looked: BoolArray


@dataclass(frozen=True, slots=True)
class _Turn:
    """One visit each of n different users: visit rows, users, clocks (seconds), wished sections, things to complete."""

    visit: IntArray
    user: IntArray
    clock: Float64Array
    section: IntArray
    anchor: IntArray

    def where(self, keep: BoolArray) -> _Turn:
        return _Turn(*(getattr(self, field.name)[keep] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class _Bought:
    """One purchase each of some users, the newest."""

    user: IntArray
    item: IntArray
    time: Float64Array


class _Memory:
    """What every user bought last, overall and by section (for what runs out), and has for good."""

    def __init__(self, truth: Truth, repeat: Float64Array) -> None:
        n_users, n_sections = truth.section_taste.shape
        self.lasting = (repeat == 0)[truth.item_section]
        self.has = np.zeros((n_users, len(truth.item_section)), dtype=bool)
        self.item = np.full(n_users, -1, dtype=np.int32)
        self.time = np.full(n_users, -np.inf)
        self.section_item = np.full((n_users, n_sections), -1, dtype=np.int32)
        self.section_time = np.full((n_users, n_sections), -np.inf)

    def note(self, bought: _Bought, truth: Truth) -> None:
        sections = truth.item_section[bought.item]
        content = truth.satisfaction(bought.user, bought.item) > 0.35
        self.section_item[bought.user[content], sections[content]] = bought.item[content]
        self.section_time[bought.user, sections] = bought.time
        self.item[bought.user], self.time[bought.user] = bought.item, bought.time

    def keep(self, looks: Looks) -> None:
        """Things that do not run out are rarely looked at again by those who have them."""
        kept = looks.bought & self.lasting[looks.item]
        self.has[looks.user[kept], looks.item[kept]] = True


def make_shelves(words: Vocabulary, item_section: IntArray) -> Shelves:
    """Shelves of an assortment."""
    sizes = np.bincount(item_section, minlength=len(words.sections))
    members = np.full((len(words.sections), int(sizes.max())), -1, dtype=np.int32)
    for position, size in enumerate(sizes):
        members[position, :size] = np.nonzero(item_section == position)[0]
    repeat = np.array([section.repeat for section in words.sections])
    return Shelves(members, repeat, np.array([section.sale for section in words.sections]))


def play(visits: Visits, truth: Truth, shelves: Shelves, rng: np.random.Generator) -> Looks:
    """Play all visits; what was bought before changes what is wanted next."""
    memory = _Memory(truth, shelves.repeat)
    log: list[Looks] = []
    for number in range(int(visits.turn.max()) + 1):
        rows = np.nonzero(visits.turn == number)[0].astype(np.int32)
        user, time = visits.user[rows], visits.time[rows]
        need = _need(memory.section_time[user], time, shelves.repeat)
        recent = (time - memory.time[user] < 30 * DAY) & (rng.random(len(rows)) < _COMPLETES)
        anchor = np.where(recent & (truth.complements[memory.item[user], 0] >= 0), memory.item[user], -1)
        logits = truth.wish_logits(user, time) + 3.5 * need
        logits += 0.6 * visits.sale[rows, None] * (shelves.sale - 1.0)
        section = np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)
        section = np.where(anchor >= 0, _partner_section(anchor, truth, rng), section)
        turn = _Turn(rows, user, time, section, anchor)
        usual = memory.section_item[user, section]
        again = (anchor < 0) & (usual >= 0)
        again &= 0.75 * need[np.arange(len(rows)), section] > rng.random(len(rows))
        log.append(_reorder(turn.where(again), usual[again], truth))
        memory.note(_Bought(user[again], usual[again], time[again]), truth)
        looks, bought = _browse(turn.where(~again), memory.has, truth, shelves, rng)
        for part in looks:
            memory.keep(part)
        log.extend(looks)
        memory.note(bought, truth)
    return _joined(log)


def _joined(parts: list[Looks]) -> Looks:
    return Looks(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Looks)))


def _need(last: Float64Array, time: Float64Array, repeat: Float64Array) -> Float64Array:
    """How likely each section has run out, 0 to 1; fades when it was evidently bought elsewhere."""
    used = (time[:, None] - last) / (DAY * np.where(repeat > 0, repeat, 1.0))
    return np.where(repeat > 0, logistic((used - 0.8) / 0.1) * logistic((3.0 - used) / 0.3), 0.0)


def _partner_section(anchor: IntArray, truth: Truth, rng: np.random.Generator) -> IntArray:
    """Section of one of the complements of each anchor."""
    partner = truth.complements[anchor, rng.integers(truth.complements.shape[1], size=len(anchor))]
    return truth.item_section[np.where(partner < 0, truth.complements[anchor, 0], partner)]


def _reorder(turn: _Turn, items: IntArray, truth: Truth) -> Looks:
    yes = np.ones(len(items), dtype=bool)
    dwell, price = np.zeros(len(items), dtype=np.float32), truth.price(items, turn.clock)
    return Looks(turn.visit, turn.user, items, turn.clock, dwell, price, yes, ~yes, ~yes)


def _browse(
    turn: _Turn, has: BoolArray, truth: Truth, shelves: Shelves, rng: np.random.Generator
) -> tuple[list[Looks], _Bought]:
    """Look at a few items of one section, glance at another, buy some; then perhaps look at what goes with them."""
    items, there = _ranked(turn, has, truth, shelves, rng)
    glance = truth.wish_logits(turn.user, turn.clock) * 0.8
    side = np.argmax(glance + rng.gumbel(size=glance.shape), axis=1)
    elsewhere = _Turn(turn.visit, turn.user, turn.clock, side, np.full_like(turn.anchor, -1))
    others, others_there = _ranked(elsewhere, has, truth, shelves, rng)
    wander = rng.random(items.shape) < _WANDER
    wander[:, 0] = False
    items, there = np.where(wander, others, items), np.where(wander, others_there, there)
    views = 1 + rng.poisson(2.2, len(items))
    shown = there & (np.arange(items.shape[1]) < views[:, None]) & _first_of_row(items)
    looks, clock, first = _look(turn, items, shown, truth, rng)
    extra = truth.complements[first][:, :EXTRA_VIEWS]
    wanted = ((first >= 0) & (rng.random(len(first)) < _ADDS))[:, None] & (extra >= 0)
    wanted &= (truth.created[extra] <= turn.clock[:, None]) & ~has[turn.user[:, None], extra]
    later = _Turn(turn.visit, turn.user, clock, turn.section, turn.anchor)
    more, end, second = _look(later, extra, wanted, truth, rng)
    newest = np.where(second >= 0, second, first)
    some = newest >= 0
    return [looks, more], _Bought(turn.user[some], newest[some], end[some])


def _ranked(
    turn: _Turn, has: BoolArray, truth: Truth, shelves: Shelves, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """Items of the wished section in the order they catch the eye, (n, MOST_VIEWS), and whether they are there."""
    shelf = shelves.members[turn.section]
    lean = truth.mood_logits(turn.user, turn.section)
    mood = np.argmax(lean + rng.gumbel(size=lean.shape), axis=1)
    score = truth.shelf_logits(turn.user[:, None], shelf, turn.clock[:, None])
    score += MOOD * (truth.item_topic[shelf] == mood[:, None])
    partners = truth.complements[turn.anchor]
    score += 3.0 * ((shelf[:, :, None] == partners[:, None, :]).any(axis=2) & (turn.anchor >= 0)[:, None])
    score -= 4.0 * has[turn.user[:, None], shelf]
    score = np.where(shelf < 0, -np.inf, score + rng.gumbel(size=score.shape))
    order = np.argsort(-score, axis=1)[:, :MOST_VIEWS]
    return np.take_along_axis(shelf, order, axis=1), np.isfinite(np.take_along_axis(score, order, axis=1))


def _first_of_row(items: IntArray) -> NDArray[np.bool_]:
    """Whether a value stands in its row for the first time."""
    same = items[:, :, None] == items[:, None, :]
    return ~np.tril(same, k=-1).any(axis=2)


def _look(
    turn: _Turn, items: IntArray, shown: BoolArray, truth: Truth, rng: np.random.Generator
) -> tuple[Looks, Float64Array, IntArray]:
    """Look at items in order; each is bought with its true probability, whatever else is bought.

    Returns
    -------
    The looks, the clock afterwards and the first item bought (-1: none).
    """
    moment = np.broadcast_to(turn.clock[:, None], items.shape)
    price = truth.price(items, moment)
    worth = truth.utility(turn.user[:, None], items, moment, price)
    bought = shown & (rng.random(items.shape) < logistic(truth.bias[0] + worth))
    carted = bought | (shown & (rng.random(items.shape) < 0.1))
    dwell = np.round(np.exp(3.2 + 0.3 * np.clip(worth, -3, 3) + 0.7 * rng.normal(size=items.shape)) + 2)
    steps = np.where(shown, dwell + np.round(rng.exponential(12, items.shape)) + 1, 0)
    after = turn.clock[:, None] + np.cumsum(steps, axis=1)
    rows = np.nonzero(shown)[0]
    looks = Looks(
        turn.visit[rows],
        turn.user[rows],
        items[shown],
        (after - steps)[shown],
        dwell[shown].astype(np.float32),
        price[shown],
        bought[shown],
        carted[shown],
        np.ones(len(rows), dtype=bool),
    )
    first = np.where(bought.any(axis=1), items[np.arange(len(items)), np.argmax(bought, axis=1)], -1)
    return looks, after[:, -1], first.astype(np.int32)
