"""What an ask is worth at each price of its ladder."""

from __future__ import annotations

import numpy as np

from palate.core import Float64Array
from palate.pricing.settings import ObjectiveSettings


def worth(
    objective: ObjectiveSettings,
    probability: Float64Array,
    relative: Float64Array,
    cost: Float64Array,
) -> Float64Array:
    """The objective at m prices of n asks, in list prices per ask; float64 (n, m), NaN where the ladder has none.

    Parameters
    ----------
    probability
        float64 (n, m), of a purchase.
    relative
        float64 (n, m), shares of the list price, rising; NaN pads.
    cost
        float64 (n,), as a share of the list price; NaN where unknown, which makes margins NaN.
    """
    value = np.where(np.isfinite(relative), 0.0, np.nan)
    if objective.revenue:
        value = value + objective.revenue * relative * probability
    if objective.margin:
        value = value + objective.margin * (relative - cost[:, None]) * probability
    if objective.units:
        value = value + objective.units * probability
    if objective.satisfaction:
        value = value + objective.satisfaction * surplus(probability, relative)
    return value


def surplus(probability: Float64Array, relative: Float64Array) -> Float64Array:
    """What customers gain against the list price: demand's area between price and list price, in list prices per ask.

    Negative above the list price. It is the change of consumers' surplus (Small and Rosen, 1981), by the trapezoid rule
    over the ladder; beyond its ends demand counts as level, which says less than is gained or lost.

    Parameters
    ----------
    probability, relative
        float64 (n, m); see ``worth``.
    """
    known = np.isfinite(relative)
    at = np.where(known, relative, np.inf)
    step = np.where(known[:, 1:], relative[:, 1:] - relative[:, :-1], 0.0)
    middle = np.where(known[:, 1:], 0.5 * (probability[:, 1:] + probability[:, :-1]), 0.0)
    area = np.zeros_like(relative)
    np.cumsum(step * middle, axis=1, out=area[:, 1:])  # below each price, from the lowest
    above = (at <= 1.0).sum(axis=1)
    last = np.maximum(known.sum(axis=1) - 1, 0)
    low = np.minimum(np.maximum(above - 1, 0), last)
    high = np.minimum(low + 1, last)
    rows = np.arange(len(relative))
    gap = np.where(above > 0, 1.0 - relative[rows, low], 1.0 - relative[rows, 0])
    wide = np.where(high > low, relative[rows, high] - relative[rows, low], 1.0)
    share = np.where((above > 0) & (high > low), gap / wide, 0.0)
    there = probability[rows, low] + share * (probability[rows, high] - probability[rows, low])
    edge = np.where(above > 0, probability[rows, low], probability[rows, 0])
    at_list = area[rows, low] + gap * 0.5 * (edge + np.where(above > 0, there, edge))
    return np.asarray(np.where(known, at_list[:, None] - area, np.nan))
