"""Purchases over time: the same logit for every step in which somebody still looks (Allison, 1982)."""

from __future__ import annotations

import numpy as np

from palate.core import Float64Array, FloatArray, IntArray, UsageError
from palate.pricing.terms import Demand


def spells(
    features: FloatArray, relative: Float64Array, bought_at: IntArray, watched: IntArray
) -> tuple[FloatArray, Float64Array, FloatArray]:
    """Spells as rows to learn from: one for each step up to the purchase, or to the end of what was watched.

    Parameters
    ----------
    features
        float32 (n, steps, f), at each step; how long somebody has looked may be a column.
    relative
        float64 (n, steps), shares of the list price asked.
    bought_at
        int32 (n,), step of the purchase, -1 where there was none.
    watched
        int32 (n,), steps that were watched; a spell that ends without a purchase is censored there.

    Returns
    -------
    Features (r, f), prices (r,) and outcomes (r,), as ``Demand.learn`` takes them.

    Raises
    ------
    UsageError
        A spell ends before its purchase, or goes on for longer than there are steps.
    """
    steps = relative.shape[1]
    wrong = np.nonzero((bought_at >= watched) | (watched > steps))[0]
    if len(wrong):
        row = int(wrong[0])
        raise UsageError(
            f"spell {row} was watched for {watched[row]} of {steps} steps, which ends before it was bought at step "
            f"{bought_at[row]}, or after the last step; correct one of them."
        )
    end = np.where(bought_at >= 0, bought_at + 1, watched)
    kept = np.arange(steps) < end[:, None]
    bought = np.arange(steps) == bought_at[:, None]
    return features[kept], relative[kept], bought[kept].astype(np.float32)


def within(demand: Demand, features: FloatArray, relative: Float64Array) -> Float64Array:
    """Probability of a purchase in any of the steps: 1 less the product of what each leaves; float64 (n,).

    Parameters
    ----------
    features, relative
        (n, steps, f) and (n, steps), as in ``spells``.
    """
    n, steps = relative.shape
    chance = demand.probability(features.reshape(n * steps, -1), relative.reshape(-1, 1)).reshape(n, steps)
    return np.asarray(1.0 - np.prod(1.0 - chance, axis=1))
