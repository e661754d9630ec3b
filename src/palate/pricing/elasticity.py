"""Own-price elasticity: what demand does when a price moves for no reason that moves demand by itself.

Double machine learning (Chernozhukov et al., 2018) of a partially linear model, log q = level(unit) + elasticity log
p + g(everything else): what foretells prices and what foretells demand is taken out of both by learners that never
saw the rows (``palate.pricing.partialling``), and the slope of what is left is the elasticity. Where many periods
sell nothing the same is done to a Poisson mean, by weights and working responses (iteratively reweighted; the score
of Hausman, Hall & Griliches, 1984, made orthogonal), so that periods without sales count. Errors are clustered;
categories and items are partially pooled (``palate.pricing.pooling``). Where prices did not move by themselves,
nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from palate.core import BoolArray, DataError, Float64Array, IntArray, Settings
from palate.data.tables import Note
from palate.pricing.elasticities import ESTIMATED, Elasticities, Estimates, Lately
from palate.pricing.partialling import Design, PartiallingSettings, Residuals, demeaned, folds_of, residuals
from palate.pricing.pooling import critical, pool
from palate.pricing.sales import SalesPanel
from palate.pricing.slopes import Slopes, half_width, slopes

_NEWEST = 8
"""Periods that say what an item costs and sells now."""
_STEPS, _LAST_STEPS = 6, 2
"""Rounds of reweighting at most, first by the linear learner alone, then by all."""
_ROOM = 3.0
"""How far a Poisson mean may lie from its unit's, in logs."""
_PERIOD_UNITS = 12
"""Units a period from which the effects of single periods can be told."""


class ElasticitySettings(Settings):
    """How elasticities are estimated.

    Parameters
    ----------
    response
        ``log``: logs of quantities, periods without sales left out; ``counts``: Poisson means, such periods included;
        ``auto``: counts where more than ``empty`` of the periods sold nothing.
    empty
        See ``response``.
    level
        Of intervals.
    least_move
        Standard deviation, in logs, by which prices must have moved beyond what everything else foretold.
    least_rows
        Periods a category or item needs.
    least_items
        Items from which errors are clustered by item; with fewer, by stretches of ``stretch`` periods of one item.
    stretch
        See ``least_items``. Errors further apart than this are taken as unrelated.
    """

    response: Literal["auto", "log", "counts"] = "auto"
    empty: Annotated[float, Field(ge=0, le=1)] = 0.05
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    least_move: Annotated[float, Field(gt=0)] = 0.01
    least_rows: Annotated[int, Field(ge=4)] = 20
    least_items: Annotated[int, Field(ge=2)] = 8
    stretch: Annotated[int, Field(ge=1)] = 8
    partialling: PartiallingSettings = Field(default_factory=PartiallingSettings)


def fit_elasticity(panel: SalesPanel, settings: ElasticitySettings | None = None) -> Elasticities:
    """Elasticities of a shop, its categories and its items.

    Raises
    ------
    DataError
        No price moved, or there are too few rows to take anything out of them.
    """
    settings = settings or ElasticitySettings()
    log_price = np.log(panel.price)
    moving = _moved_within(panel.unit, log_price)
    if not moving.any():
        raise DataError(
            "no price ever moved: how demand answers to prices cannot be learnt from this. Vary prices on purpose, in "
            "small steps and at moments chosen by chance."
        )
    counts = settings.response == "counts" or (settings.response == "auto" and panel.empty_share > settings.empty)
    rows = np.ones(len(panel), dtype=bool) if counts else panel.quantity > 0
    rows &= _lasting(panel.unit, rows)
    if rows.sum() < settings.least_rows:
        raise DataError(f"{int(rows.sum())} usable rows of sales; at least {settings.least_rows} are needed.")
    part = _part(panel, rows, settings)
    if counts:
        found, weights = _counted(log_price[rows], panel.quantity[rows], part)
    else:
        weights = np.ones(int(rows.sum()))
        found = residuals(np.column_stack([log_price[rows], np.log(panel.quantity[rows])]), part, weights)
    left = Left(found.left[:, 0], found.left[:, 1], weights, moving, found.spent)
    return _told(panel, settings, rows, left, float(found.foretold[0]), counts=counts)


@dataclass(frozen=True)
class Left:
    """What is left of prices and demand on the rows used, how much each counts, which rows' prices ever moved, and what
    share of the rows it took to foretell the rest.
    """

    price: Float64Array
    demand: Float64Array
    weights: Float64Array
    moving: BoolArray
    spent: float


def _part(panel: SalesPanel, rows: BoolArray, settings: ElasticitySettings) -> Design:
    """Everything else, with folds that no error crosses."""
    chosen = settings.partialling
    group, period = panel.row_category[rows], panel.period[rows]
    _, unit = np.unique(panel.unit[rows], return_inverse=True)
    item = panel.item[rows]
    if panel.cluster is not None:
        fold = folds_of(panel.cluster[rows], group, chosen.folds, chosen.seed)
    elif len(np.unique(item)) >= 2 * chosen.folds:
        fold = folds_of(item, panel.category[item], chosen.folds, chosen.seed)
    else:
        stretch = period // settings.stretch
        fold = folds_of(stretch, np.zeros_like(stretch), chosen.folds, chosen.seed)
    several = len(np.unique(item)) >= 2 * chosen.folds and len(np.unique(period)) > 1
    dense = several and len(period) >= _PERIOD_UNITS * len(np.unique(period))
    return Design(
        unit=unit.astype(np.int32),
        fold=fold,
        features=panel.features[rows],
        group=group,
        period=period if dense else None,
        settings=chosen,
    )


def _counted(log_price: Float64Array, quantity: Float64Array, part: Design) -> tuple[Residuals, Float64Array]:
    """Residuals of prices and of working responses, and weights."""
    unit = part.unit
    usual = (np.bincount(unit, quantity) / np.bincount(unit))[unit]
    mean = (quantity + usual) / 2
    slope = np.nan
    # Trees cost the most by far and change the means little: they join when everything else has settled.
    straight = replace(part, settings=part.settings.model_copy(update={"trees": 0}))
    for design, steps in ((straight, _STEPS), (part, _LAST_STEPS if part.settings.trees else 0)):
        for _ in range(steps):
            response = np.log(mean) + (quantity - mean) / mean
            found = residuals(np.column_stack([log_price, response]), design, mean)
            price, demand = found.left[:, 0], found.left[:, 1]
            before, slope = slope, float((mean * price * demand).sum() / max((mean * price**2).sum(), 1e-300))
            weights = mean
            # Fitted: everything but the residual, at the level at which each unit sells what it sold.
            fitted = demeaned(response - demand + slope * price, unit, mean)
            fitted = np.exp(np.clip(fitted, -_ROOM, _ROOM))
            mean = fitted * (np.bincount(unit, quantity) / np.bincount(unit, fitted))[unit]
            if abs(slope - before) < 1e-3 * (1 + abs(slope)):
                break
    return found, weights


def _told(
    panel: SalesPanel, settings: ElasticitySettings, rows: BoolArray, left: Left, foretold: float, *, counts: bool
) -> Elasticities:
    """Slopes with errors, pooled, and what is not claimed."""
    item, group = panel.item[rows], panel.row_category[rows]
    n_items, n_groups = len(panel.ids), len(panel.categories)
    stretches = _stretches(panel, rows, settings.stretch)
    whole = item if panel.cluster is None else panel.cluster[rows]

    def of(groups: IntArray, n: int) -> Slopes:
        """By items where a group has enough of them, else by stretches of time."""
        by_item = slopes(left.price, left.demand, left.weights, group=groups, cluster=whole, groups=n)
        by_stretch = slopes(left.price, left.demand, left.weights, group=groups, cluster=stretches, groups=n)
        many = by_item.clusters >= settings.least_items
        pick = {name: np.where(many, getattr(by_item, name), getattr(by_stretch, name)) for name in _PICKED}
        # Errors of what was foretold are shared by all rows it was foretold for: no clustering of rows sees them.
        return Slopes(**{**pick, "error": pick["error"] * np.sqrt(1.0 + left.spent)})

    every = np.zeros(len(item), dtype=np.int32)
    overall = of(every, 1)
    moved_items = np.bincount(panel.item, left.moving, n_items) > 0
    moved_groups = np.bincount(panel.row_category, left.moving, n_groups) > 0
    by_group, by_item = of(group, n_groups), of(item, n_items)
    groups = _estimates(panel.categories, by_group, settings, moved_groups)
    middle, doubt = _centres(groups, overall, panel.category)
    items = _estimates(panel.ids.names, by_item, settings, moved_items, centre=middle, centre_error=doubt)
    # The rows of all are one estimate: it is drawn to nothing.
    shop = _estimates(("",), overall, settings, np.array([moved_items.any()]))
    notes = (*panel.notes, *_notes(panel, rows, foretold, settings, counts=counts))
    return Elasticities(
        level=settings.level,
        response="counts" if counts else "log",
        overall=shop,
        categories=groups,
        items=items,
        category=panel.category,
        foretold=foretold,
        lately=_lately(panel),
        notes=notes,
    )


def _lately(panel: SalesPanel) -> Lately:
    """Prices and sales of the newest periods of the panel."""
    n = len(panel.ids)
    price, sales = np.full(n, np.nan), np.full(n, np.nan)
    if panel.days:
        newest = np.flatnonzero(panel.period > panel.period.max() - _NEWEST)
        item = panel.item[newest]
        periods = min(_NEWEST, int(panel.period.max() - panel.period.min()) + 1)
        there = np.bincount(item, minlength=n) > 0
        sales[there] = np.bincount(item, panel.quantity[newest], n)[there] / periods
        order = newest[np.lexsort((panel.price[newest], item))]
        ends = np.cumsum(np.bincount(item, minlength=n))
        middle = (ends - (np.bincount(item, minlength=n) + 1) // 2)[there]
        price[there] = panel.price[order[middle]]
    return Lately(panel.days, panel.counted, price, sales)


_PICKED = ("slope", "error", "freedom", "clusters", "rows", "moved")


def _estimates(
    names: tuple[str, ...],
    own: Slopes,
    settings: ElasticitySettings,
    moved: BoolArray,
    *,
    centre: Float64Array | None = None,
    centre_error: Float64Array | None = None,
) -> Estimates:
    """Shrunk estimates of one level, with a reason where there is none."""
    reason = np.select(
        [
            ~moved,
            own.rows < settings.least_rows,
            own.moved < settings.least_move,
            ~np.isfinite(own.error) | (own.freedom < 1.5),
        ],
        ["never_moved", "few_rows", "foretold", "few_moves"],
        ESTIMATED,
    )
    good = reason == ESTIMATED
    width = half_width(own.error, own.freedom, settings.level)
    effective = width / critical(0.0, settings.level)
    shape = np.full(len(names), np.nan)
    estimate, low, high, share = shape.copy(), shape.copy(), shape.copy(), np.zeros(len(names))
    good &= np.isfinite(effective) & (effective > 0)
    aimed = (
        {} if centre is None or centre_error is None else {"centre": centre[good], "centre_error": centre_error[good]}
    )
    pooled = pool(own.slope[good], effective[good], level=settings.level, **aimed)
    estimate[good], low[good], high[good], share[good] = pooled.estimate, pooled.low, pooled.high, pooled.own
    return Estimates(
        names=tuple(names),
        estimate=estimate,
        low=low,
        high=high,
        alone=np.where(good, own.slope, np.nan),
        alone_low=np.where(good, own.slope - width, np.nan),
        alone_high=np.where(good, own.slope + width, np.nan),
        own=share,
        moved=own.moved,
        rows=own.rows,
        clusters=own.clusters,
        reason=tuple(str(value) for value in reason),
        centre=pooled.centre,
        spread=pooled.spread,
    )


def _centres(groups: Estimates, overall: Slopes, category: IntArray) -> tuple[Float64Array, Float64Array]:
    """What the items of each category are drawn to: their category, or the shop where it has no estimate."""
    z = critical(0.0, 0.95)
    known = np.isfinite(groups.estimate)
    middle = np.where(known, groups.estimate, overall.slope[0])
    spread = 0.0 if np.isnan(groups.spread) else groups.spread
    doubt = np.where(known, (groups.high - groups.low) / (2 * z), np.hypot(overall.error[0], spread))
    return middle[category], np.nan_to_num(doubt, nan=1.0)[category]


def _notes(
    panel: SalesPanel, rows: BoolArray, foretold: float, settings: ElasticitySettings, *, counts: bool
) -> tuple[Note, ...]:
    notes: tuple[Note, ...] = (Note("counts" if counts else "logs", {"share": panel.empty_share}),)
    if not counts and (panel.quantity == 0).any():
        notes = (*notes, Note("without_sales", {"count": int((panel.quantity == 0).sum()), "of": len(panel)}))
    if not panel.features.shape[1]:
        notes = (*notes, Note("unconfounded", {}))
    if foretold > 0.95:
        notes = (*notes, Note("tied", {"share": foretold}))
    items = len(np.unique(panel.item[rows]))
    if panel.cluster is None and items < settings.least_items:
        notes = (*notes, Note("few_items", {"count": items, "stretch": settings.stretch}))
    return notes


def _moved_within(unit: IntArray, log_price: Float64Array) -> BoolArray:
    """Of each row, whether the price of its unit ever differed by more than rounding; bool (n,)."""
    n = int(unit.max(initial=-1)) + 1
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, unit, log_price)
    np.maximum.at(high, unit, log_price)
    return np.asarray((high - low > 1e-6)[unit])


def _lasting(unit: IntArray, rows: BoolArray) -> BoolArray:
    """Rows of units that keep two rows or more."""
    return np.asarray((np.bincount(unit, rows) >= 2)[unit])


def _stretches(panel: SalesPanel, rows: BoolArray, stretch: int) -> IntArray:
    """Clusters where items are few: given ones, or consecutive periods of one item."""
    if panel.cluster is not None:
        return panel.cluster[rows]
    periods = panel.period[rows].astype(np.int64) // stretch
    _, codes = np.unique(panel.item[rows] * (periods.max(initial=0) + 1) + periods, return_inverse=True)
    return codes.astype(np.int32)
