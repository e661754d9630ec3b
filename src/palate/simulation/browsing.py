"""What people do on each visit: a wish, things looked at, a basket. All users' n-th visits are played at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palate.core import Float64Array, FloatArray, IntArray
from palate.simulation.assortment import DAY
from palate.simulation.people import Visits
from palate.simulation.truth import Truth, logistic
from palate.simulation.vocabulary import Vocabulary

MOST_VIEWS = 8
EXTRA_VIEWS = 2
_NEVER = -1e9

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shelves:
    """Items by section, padded, and what a section implies.

    Parameters
    ----------
    members
        int32 (S, m), items of each section, -1 pads.
    flavoured
        bool (S, T), whether some flavour of the section speaks to the topic.
    repeat
        float64 (S,), days until a buyer runs out, 0 for never.
    sale
        float64 (S,), how much more the section is wanted on sale days, in logs.
    exposure
        float32 (n_items,), how prominently each item is shown, in logits.
    topic
        int32 (n_items,), topic of each item's flavour.
    """

    members: IntArray
    flavoured: Bools
    repeat: Float64Array
    sale: Float64Array
    exposure: FloatArray
    topic: IntArray


@dataclass(slots=True)
class _Log:
    """Columns of events in the making; each call of ``add`` appends one array to every column."""

    parts: dict[str, list[NDArray[np.generic]]] = field(default_factory=dict)

    def add(self, **columns: NDArray[np.generic]) -> None:
        for name, values in columns.items():
            self.parts.setdefault(name, []).append(values)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        return {name: np.concatenate(values) for name, values in self.parts.items()}


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
    bought: Bools
    carted: Bools
    looked: Bools


def make_shelves(words: Vocabulary, truth: Truth, topic: IntArray, rng: np.random.Generator) -> Shelves:
    """Shelves of an assortment; a few items of each section are in the window, most are not."""
    sizes = np.bincount(truth.item_section, minlength=len(words.sections))
    members = np.full((len(words.sections), int(sizes.max())), -1, dtype=np.int32)
    flavoured = np.zeros((len(words.sections), len(words.topics)), dtype=bool)
    for position, section in enumerate(words.sections):
        members[position, : sizes[position]] = np.nonzero(truth.item_section == position)[0]
        flavoured[position, [flavour.topic for flavour in section.flavours]] = True
    return Shelves(
        members,
        flavoured,
        np.array([section.repeat for section in words.sections]),
        np.array([section.sale for section in words.sections]),
        rng.normal(0, 1.0, len(truth.item_section)).astype(np.float32),
        topic,
    )


def play(visits: Visits, truth: Truth, shelves: Shelves, rng: np.random.Generator) -> Looks:
    """Play all visits; what was bought before changes what is wanted next."""
    log = _Log()
    n_users, n_sections = truth.section_taste.shape
    ran_out_item = np.full((n_users, n_sections), -1, dtype=np.int32)
    ran_out_from = np.full((n_users, n_sections), -np.inf)
    newest_item = np.full(n_users, -1, dtype=np.int32)
    newest_time = np.full(n_users, -np.inf)
    for turn in range(int(visits.turn.max()) + 1):
        rows = np.nonzero(visits.turn == turn)[0].astype(np.int32)
        user, time = visits.user[rows], visits.time[rows]
        need = _need(ran_out_from[user], time, shelves.repeat)
        completes = (time - newest_time[user] < 30 * DAY) & (rng.random(len(rows)) < 0.4)
        completes &= truth.complements[newest_item[user], 0] >= 0
        anchor = np.where(completes, newest_item[user], -1).astype(np.int32)
        section = _wish(truth, shelves, user, time, visits.sale[rows], need, anchor, rng)
        again = need[np.arange(len(rows)), section] * 0.75 > rng.random(len(rows))
        again &= (anchor < 0) & (ran_out_item[user, section] >= 0)
        _reorder(log, rows[again], user[again], time[again], ran_out_item[user, section][again], truth)
        look = ~again
        bought = _browse(log, rows[look], user[look], time[look], section[look], anchor[look], truth, shelves, rng)
        basket_user = np.concatenate([user[again], bought[0]])
        basket_item = np.concatenate([ran_out_item[user, section][again], bought[1]])
        basket_time = np.concatenate([time[again], bought[2]])
        sections = truth.item_section[basket_item]
        content = truth.satisfaction(basket_user, basket_item) > 0.35
        ran_out_item[basket_user[content], sections[content]] = basket_item[content]
        ran_out_from[basket_user, sections] = basket_time
        newest_item[basket_user], newest_time[basket_user] = basket_item, basket_time
    return Looks(**log.columns())  # type: ignore[arg-type]


def _need(last: Float64Array, time: Float64Array, repeat: Float64Array) -> Float64Array:
    """How likely each section has run out, 0 to 1; fades when it was evidently bought elsewhere."""
    lasts = np.where(repeat > 0, repeat, 1.0)
    used = (time[:, None] - last) / (DAY * lasts)
    need = logistic((used - 0.8) / 0.1) * logistic((3.0 - used) / 0.3)
    return np.where(repeat > 0, need, 0.0)


def _wish(
    truth: Truth,
    shelves: Shelves,
    user: IntArray,
    time: Float64Array,
    sale: Bools,
    need: Float64Array,
    anchor: IntArray,
    rng: np.random.Generator,
) -> IntArray:
    """Section each visitor has in mind: taste, season, sales, what ran out, what completes the last purchase."""
    sections = np.arange(len(shelves.repeat))
    logits = 1.15 * truth.section_taste[user] + np.log(truth.seasonality(sections[None, :], time[:, None]))
    logits = logits + 3.5 * need + 0.6 * sale[:, None] * (shelves.sale - 1.0)
    wish = np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)
    partner = truth.complements[anchor, rng.integers(4, size=len(user))]
    partner = np.where(partner < 0, truth.complements[anchor, 0], partner)
    return np.where(anchor >= 0, truth.item_section[partner], wish).astype(np.int32)


def _reorder(log: _Log, visit: IntArray, user: IntArray, time: Float64Array, item: IntArray, truth: Truth) -> None:
    yes = np.ones(len(visit), dtype=bool)
    log.add(visit=visit, user=user, item=item, time=time, dwell=np.zeros(len(visit), np.float32))
    log.add(price=truth.price(item, time), bought=yes, carted=~yes, looked=~yes)


def _browse(
    log: _Log,
    visit: IntArray,
    user: IntArray,
    time: Float64Array,
    section: IntArray,
    anchor: IntArray,
    truth: Truth,
    shelves: Shelves,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray, Float64Array]:
    """Look at a few items of one section and of one flavour, buy some; then perhaps at what goes with the purchase.

    Returns
    -------
    Users, items and times of what was bought.
    """
    if not len(visit):
        return user, visit, time
    shelf = shelves.members[section]
    fits = shelves.flavoured[section]
    leaning = np.where(fits, np.log(truth.lifestyle[user] + 1e-3), _NEVER) + 0.7 * rng.gumbel(size=fits.shape)
    mood = np.argmax(leaning, axis=1)
    score = 0.9 * truth.utility(user[:, None], shelf, time[:, None]) + shelves.exposure[shelf]
    score += 1.6 * (shelves.topic[shelf] == mood[:, None])
    partners = truth.complements[anchor]
    score += 3.0 * ((shelf[:, :, None] == partners[:, None, :]).any(axis=2) & (anchor >= 0)[:, None])
    score += rng.gumbel(size=score.shape)
    score[(shelf < 0) | (truth.created[shelf] > time[:, None])] = _NEVER
    views = np.minimum(1 + rng.poisson(2.2, len(visit)), MOST_VIEWS)
    order = np.argsort(-score, axis=1)[:, :MOST_VIEWS]
    seen = np.take_along_axis(shelf, order, axis=1)
    shown = (np.arange(seen.shape[1]) < views[:, None]) & (np.take_along_axis(score, order, axis=1) > _NEVER)
    clock, first, when = _look(log, visit, user, time, seen, shown, truth, rng)
    extra_items = truth.complements[first][:, :EXTRA_VIEWS]
    extra = (first >= 0)[:, None] & (rng.random(len(visit)) < 0.55)[:, None] & (extra_items >= 0)
    extra &= truth.created[extra_items] <= time[:, None]
    _, second, later = _look(log, visit, user, clock, extra_items, extra, truth, rng)
    newest = np.where(second >= 0, second, first)
    has = newest >= 0
    return user[has], newest[has], np.where(second >= 0, later, when)[has]


def _look(
    log: _Log,
    visit: IntArray,
    user: IntArray,
    clock: Float64Array,
    items: IntArray,
    shown: Bools,
    truth: Truth,
    rng: np.random.Generator,
) -> tuple[Float64Array, IntArray, Float64Array]:
    """Look at items in order; each is bought with its true probability, whatever else is bought.

    Returns
    -------
    The clock afterwards, the first item bought (-1: none), and when.
    """
    moment = np.broadcast_to(clock[:, None], items.shape)
    price = truth.price(items, moment)
    worth = truth.utility(user[:, None], items, moment, price)
    bought = shown & (rng.random(items.shape) < logistic(truth.bias[0] + worth))
    carted = bought | (shown & (rng.random(items.shape) < 0.1))
    dwell = np.round(np.exp(3.2 + 0.3 * np.clip(worth, -3, 3) + 0.7 * rng.normal(size=items.shape)) + 2)
    steps = np.where(shown, dwell + np.round(rng.exponential(12, items.shape)) + 1, 0)
    after = clock[:, None] + np.cumsum(steps, axis=1)
    rows, columns = np.nonzero(shown)
    log.add(visit=visit[rows], user=user[rows], item=items[shown].astype(np.int32), time=(after - steps)[shown])
    log.add(dwell=dwell[shown].astype(np.float32), price=price[shown], bought=bought[shown], carted=carted[shown])
    log.add(looked=np.ones(len(rows), dtype=bool))
    any_bought = bought.any(axis=1)
    column = np.argmax(bought, axis=1)
    end = after[:, -1]
    first = np.where(any_bought, items[np.arange(len(items)), column], -1).astype(np.int32)
    return end, first, end
