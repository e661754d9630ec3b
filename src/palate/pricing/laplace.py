"""Logit weights as a normal belief: weights that all rows share, and a pair a level (an item, a category) shrunk to 0.

The posterior after a batch is Laplace's: a normal about the best weights with the curvature there (Spiegelhalter and
Lauritzen, 1990; Chapelle and Li, 2011). Between batches the links between shared weights and levels are dropped, each
keeping its own marginal (assumed density filtering, Opper 1998), so that thousands of levels cost no square matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palate.core import Float64Array, IntArray

_STEPS = 50
_HALVINGS = 12
_ENOUGH = 1e-9
"""Newton ends where a further step would raise the log posterior by less."""


@dataclass(frozen=True)
class Belief:
    """Independent normals: one over D shared weights, one over each level's pair (base, price effect).

    Parameters
    ----------
    mean, precision, covariance
        float64 (D,), (D, D), (D, D); the latter two are each other's inverse.
    level_mean, level_precision, level_covariance
        float64 (L, 2), (L, 2, 2), (L, 2, 2).
    """

    mean: Float64Array
    precision: Float64Array
    covariance: Float64Array
    level_mean: Float64Array
    level_precision: Float64Array
    level_covariance: Float64Array

    @classmethod
    def prior(cls, mean: Float64Array, spread: Float64Array, levels: int, level_spread: Float64Array) -> Belief:
        """Standard deviations (D,) about a mean (D,); levels about 0 with standard deviations (2,)."""
        return cls(
            mean,
            np.diag(spread**-2.0),
            np.diag(spread**2.0),
            np.zeros((levels, 2)),
            np.tile(np.diag(level_spread**-2.0), (levels, 1, 1)),
            np.tile(np.diag(level_spread**2.0), (levels, 1, 1)),
        )


def faded(belief: Belief, prior: Belief, share: float) -> Belief:
    """What is left of a belief when only a share of its evidence counts, the prior standing in for the rest.

    Stabilised forgetting (Kulhavý and Zarrop, 1993): precision stays between the prior's and what was learnt, so
    nothing that is not asked about for long is known for ever, and nothing becomes unknown beyond the prior.
    """

    def blended(
        mean: Float64Array, precision: Float64Array, other: Float64Array, other_precision: Float64Array
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        mixed = share * precision + (1 - share) * other_precision
        pull = share * np.einsum("...ij,...j->...i", precision, mean)
        pull = pull + (1 - share) * np.einsum("...ij,...j->...i", other_precision, other)
        covariance = symmetric(np.linalg.inv(mixed))
        return np.einsum("...ij,...j->...i", covariance, pull), mixed, covariance

    return Belief(
        *blended(belief.mean, belief.precision, prior.mean, prior.precision),
        *blended(belief.level_mean, belief.level_precision, prior.level_mean, prior.level_precision),
    )


def respread(belief: Belief, before: Float64Array, after: Float64Array) -> Belief:
    """The belief had shared weights about 0 been given other standard deviations (D,) from the start.

    What was learnt adds to the prior's precision, so that one prior can be taken out of the sum and another put in.
    Weights whose standard deviation stays may lie about anything.
    """
    precision = belief.precision + np.diag(after**-2.0 - before**-2.0)
    covariance = symmetric(np.linalg.inv(precision))
    mean = covariance @ (belief.precision @ belief.mean)
    return replace(belief, mean=mean, precision=precision, covariance=covariance)


def learnt(belief: Belief, design: Float64Array, pair: Float64Array, levels: IntArray, bought: Float64Array) -> Belief:
    """The belief after n sales or none.

    Parameters
    ----------
    design
        float64 (n, D), what the shared weights multiply.
    pair
        float64 (n, 2), what a level's weights multiply: 1 and the price term.
    levels
        int32 (n,), -1 where the level is unknown.
    bought
        float64 (n,), 0 or 1.
    """
    touched, place = np.unique(levels[levels >= 0], return_inverse=True)
    rows = np.nonzero(levels >= 0)[0]
    group = _Groups(rows, place, len(touched), design, pair)
    mean, own = belief.mean.copy(), belief.level_mean[touched].copy()
    prior_mean, prior_own = belief.mean, belief.level_mean[touched]
    prior_precision, own_precision = belief.precision, belief.level_precision[touched]

    def height(shared: Float64Array, levelled: Float64Array) -> tuple[float, Float64Array]:
        z = design @ shared + group.spread_out(levelled)
        away, own_away = shared - prior_mean, levelled - prior_own
        fit = float(np.sum(bought * z - np.logaddexp(0.0, z)))
        fit -= 0.5 * float(away @ prior_precision @ away)
        return fit - 0.5 * float(np.einsum("ki,kij,kj->", own_away, own_precision, own_away)), z

    now, z = height(mean, own)
    for _ in range(_STEPS):
        chance = 0.5 * (1.0 + np.tanh(0.5 * z))
        missed, weight = bought - chance, chance * (1 - chance)
        curve = _Curve.of(prior_precision, own_precision, design, weight, group)
        slope = design.T @ missed - prior_precision @ (mean - prior_mean)
        own_slope = group.gathered(missed) - np.einsum("kij,kj->ki", own_precision, own - prior_own)
        step, own_step = curve.solved(slope, own_slope)
        gain = float(step @ slope) + float(np.sum(own_step * own_slope))
        if gain < _ENOUGH:
            break
        length = 1.0
        for _ in range(_HALVINGS):  # the log posterior is concave, but a whole step may still overshoot
            then, z_then = height(mean + length * step, own + length * own_step)
            if then > now:
                break
            length *= 0.5
        else:
            break
        mean, own, now, z = mean + length * step, own + length * own_step, then, z_then
    chance = 0.5 * (1.0 + np.tanh(0.5 * z))
    curve = _Curve.of(prior_precision, own_precision, design, chance * (1 - chance), group)
    covariance, level_covariance = curve.marginals()
    if not len(touched):
        kept = (belief.level_mean, belief.level_precision, belief.level_covariance)
        return Belief(mean, curve.left, covariance, *kept)
    level_mean, level_precision = belief.level_mean.copy(), belief.level_precision.copy()
    all_covariance = belief.level_covariance.copy()
    level_mean[touched], all_covariance[touched] = own, level_covariance
    level_precision[touched] = symmetric(np.linalg.inv(level_covariance))
    return Belief(mean, curve.left, covariance, level_mean, level_precision, all_covariance)


@dataclass(frozen=True)
class _Groups:
    """Which rows belong to which of the K levels that a batch touches."""

    rows: np.ndarray
    place: np.ndarray
    count: int
    design: Float64Array
    pair: Float64Array

    def spread_out(self, own: Float64Array) -> Float64Array:
        """What levels (K, 2) add to each row's logit; (n,)."""
        added = np.zeros(len(self.design))
        added[self.rows] = np.sum(self.pair[self.rows] * own[self.place], axis=1)
        return added

    def gathered(self, values: Float64Array) -> Float64Array:
        """Sums of values (n,) times the pair over each level's rows; (K, 2)."""
        found = self.pair[self.rows] * values[self.rows, None]
        return self._summed(found)

    def products(self, weight: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Sums over each level's rows of weighted pair x pair (K, 2, 2) and design x pair (K, D, 2)."""
        pair = self.pair[self.rows]
        weighted = pair * weight[self.rows, None]
        inner = self._summed((weighted[:, :, None] * pair[:, None, :]).reshape(len(pair), 4))
        width = self.design.shape[1]
        cross = np.zeros((self.count, width, 2))
        if self.count:
            cross = self._summed(
                (self.design[self.rows][:, :, None] * weighted[:, None, :]).reshape(len(pair), 2 * width)
            )
        return inner.reshape(self.count, 2, 2), cross.reshape(self.count, width, 2)

    def _summed(self, values: Float64Array) -> Float64Array:
        order = np.argsort(self.place, kind="stable")
        if not len(order):
            return np.zeros((0, values.shape[1]))
        first = np.searchsorted(self.place[order], np.arange(self.count))
        return np.asarray(np.add.reduceat(values[order], first, axis=0))


@dataclass(frozen=True)
class _Curve:
    """An arrowhead matrix [[shared, cross], [cross', levels]] by Schur's complement.

    Parameters
    ----------
    left
        float64 (D, D), the shared block less what the levels explain: the precision of the shared marginal.
    inner
        float64 (K, 2, 2), inverses of the levels' blocks.
    cross
        float64 (K, D, 2).
    """

    left: Float64Array
    inner: Float64Array
    cross: Float64Array

    @classmethod
    def of(
        cls,
        precision: Float64Array,
        own_precision: Float64Array,
        design: Float64Array,
        weight: Float64Array,
        group: _Groups,
    ) -> _Curve:
        shared = precision + (design * weight[:, None]).T @ design
        products, cross = group.products(weight)
        inner = symmetric(np.linalg.inv(own_precision + products))
        explained = cross @ inner
        wide = explained.transpose(1, 0, 2).reshape(len(shared), -1)
        left = shared - wide @ cross.transpose(1, 0, 2).reshape(len(shared), -1).T
        return cls(symmetric(left), inner, cross)

    def solved(self, slope: Float64Array, own_slope: Float64Array) -> tuple[Float64Array, Float64Array]:
        """The solution for the right-hand sides (D,) and (K, 2)."""
        half = np.einsum("kij,kj->ki", self.inner, own_slope)
        step = np.linalg.solve(self.left, slope - np.einsum("kdi,ki->d", self.cross, half))
        return step, half - np.einsum("kij,kdj,d->ki", self.inner, self.cross, step)

    def marginals(self) -> tuple[Float64Array, Float64Array]:
        """Blocks of the inverse: (D, D), and (K, 2, 2) of the levels."""
        covariance = symmetric(np.linalg.inv(self.left))
        reach = self.cross @ self.inner
        return covariance, symmetric(self.inner + reach.transpose(0, 2, 1) @ (covariance @ reach))


def symmetric(matrix: NDArray[np.floating]) -> Float64Array:
    """Without the last bits in which the halves of square matrices (..., n, n) differ."""
    return np.asarray(0.5 * (matrix + np.swapaxes(matrix, -1, -2)), dtype=np.float64)
