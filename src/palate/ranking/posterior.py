"""Linear rewards of several arms: ridge regression that forgets, kept up by rank-one updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from palate.core import Float64Array
from palate.core.recommender import Arrays

_NODES = np.linspace(-5.0, 5.0, 41)
"""Standard deviations around each mean at which distributions are looked at."""


@dataclass(frozen=True)
class Posterior:
    """What is known of the weights of K arms over contexts of length d.

    Every list that is shown discounts what all arms have learnt, so that an arm not chosen for long becomes uncertain
    again. The prior is discounted with the rest and comes back one direction a list, by a rank-one update too, so that
    its precision in each direction stays within ``discount**d`` and 1 of ``regularization`` and nothing grows without
    bound: no entry of ``precision`` exceeds ``regularization + memory`` times the largest square of a context's entry.

    Parameters
    ----------
    precision
        float64 (K, d, d), sums of outer products of contexts and the prior.
    covariance
        float64 (K, d, d), its inverse, by Sherman and Morrison (1950).
    response
        float64 (K, d), sums of contexts times rewards.
    tick
        Lists shown so far.
    regularization
        Precision of the prior.
    discount
        What an earlier list is worth relative to the next one.
    """

    precision: Float64Array
    covariance: Float64Array
    response: Float64Array
    tick: int
    regularization: float
    discount: float

    @classmethod
    def prior(cls, arms: int, dimensions: int, regularization: float, memory: float) -> Posterior:
        """Nothing is known yet; after ``memory`` lists what was learnt counts 1/e."""
        one = np.tile(np.eye(dimensions), (arms, 1, 1))
        nothing = np.zeros((arms, dimensions))
        return cls(one * regularization, one / regularization, nothing, 0, regularization, float(np.exp(-1 / memory)))

    @property
    def dimensions(self) -> int:
        return int(self.response.shape[1])

    def rewards(self, contexts: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Expected reward of each arm and its standard deviation (at unit noise); float64 (n, K) each."""
        weights = np.einsum("kij,kj->ki", self.covariance, self.response)
        spread = np.einsum("nki,ni->nk", np.einsum("ni,kij->nkj", contexts, self.covariance), contexts)
        return contexts @ weights.T, np.sqrt(np.maximum(spread, 1e-18))

    def believed(self, arm: int, context: Float64Array) -> tuple[float, float]:
        """Expected reward of one arm in one context (d,) and its standard deviation (at unit noise)."""
        column = self.covariance[arm] @ context
        return float(column @ self.response[arm]), float(np.sqrt(max(column @ context, 1e-18)))

    def seen(self, arm: int, context: Float64Array) -> Posterior:
        """After a list of this arm was shown in this context, with no reward so far."""
        d, discount = self.dimensions, self.discount
        precision, covariance = self.precision * discount, self.covariance / discount
        direction, returned = self.tick % d, self.regularization * (1 - discount**d)
        precision[:, direction, direction] += returned
        column = covariance[:, :, direction].copy()
        shrink = returned / (1 + returned * column[:, direction])
        # The product of the columns comes first: it is symmetric to the last bit, and unlike errors in size, which the
        # returning prior heals, an error in symmetry would grow by every discount.
        covariance -= shrink[:, None, None] * (column[:, :, None] * column[:, None, :])
        precision[arm] += np.outer(context, context)
        column = covariance[arm] @ context
        covariance[arm] -= np.outer(column, column) / (1 + context @ column)
        return replace(
            self,
            precision=precision,
            covariance=covariance,
            response=self.response * discount,
            tick=self.tick + 1,
        )

    def earned(self, arm: int, context: Float64Array, reward: float, tick: int) -> Posterior:
        """After a list shown at this tick earned a reward, discounted by what came since."""
        response = self.response.copy()
        response[arm] += self.discount ** (self.tick - tick) * reward * context
        return replace(self, response=response)

    def forgotten(self) -> Posterior:
        """Nothing is known any more; ticks go on."""
        empty = Posterior.prior(len(self.response), self.dimensions, self.regularization, 1.0)
        return replace(empty, tick=self.tick, discount=self.discount)

    def arrays(self) -> Arrays:
        return {
            "precision": self.precision,
            "covariance": self.covariance,
            "response": self.response,
            "tick": np.array([self.tick], dtype=np.int64),
        }

    def with_rows(self, arrays: Arrays, places: Sequence[int]) -> Posterior:
        """The saved state of K arms; ``places`` says where each of these arms stood, -1 for a new one."""
        own = {name: getattr(self, name).copy() for name in ("precision", "covariance", "response")}
        for arm, place in enumerate(places):
            if place >= 0:
                for name, values in own.items():
                    values[arm] = arrays[name][place]
        return replace(self, **own, tick=int(arrays["tick"][0]))


def best_shares(means: Float64Array, deviations: Float64Array) -> Float64Array:
    """Probability that each of K independent normal draws is the largest; float64 (n, K), rows sum to 1.

    The integral of an arm's density times the other arms' distribution functions, as a sum over the increments of its
    own distribution function between nodes that lie close wherever any arm's does change.

    Parameters
    ----------
    means, deviations
        float64 (n, K); deviations above 0.
    """
    from scipy.special import ndtr

    n, arms = means.shape
    nodes = np.sort((means[:, :, None] + deviations[:, :, None] * _NODES).reshape(n, -1), axis=1)
    below = ndtr((nodes[:, None, :] - means[:, :, None]) / deviations[:, :, None])
    before, after = np.ones_like(below), np.ones_like(below)
    before[:, 1:] = np.cumprod(below[:, :-1], axis=1)
    after[:, :-1] = np.cumprod(below[:, :0:-1], axis=1)[:, ::-1]
    others = before * after
    shares = (np.diff(below, axis=2) * (others[:, :, 1:] + others[:, :, :-1]) / 2).sum(axis=2)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64).reshape(n, arms)
