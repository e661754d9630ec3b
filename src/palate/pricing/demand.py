"""How likely a purchase is at a price: a logit whose weights are a normal belief, kept up batch by batch.

z = base(x) + effect(x) u, with u = relative price - 1: x moves both how much a thing is wanted and how much its price
matters. At the list price u = 0, so that the base is demand as the shop knows it. All that matters of one ask is the
pair (base, effect), two normal numbers, however many features there are: draws and bounds are those of that pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from palate.core import Float64Array, FloatArray, IntArray, Settings, UsageError
from palate.core.recommender import Arrays
from palate.pricing.laplace import Belief, faded, learnt, respread

_STATE = ("mean", "precision", "covariance", "level_mean", "level_precision", "level_covariance")


class DemandSettings(Settings):
    """What is believed before the first sale, and how long what was learnt counts.

    Logits are those of a purchase; a price effect is in logits per list price, so that -2 means that a tenth of the
    list price more takes .2 logits off.

    Parameters
    ----------
    rate
        Purchase probability of an average ask at its list price.
    rate_spread
        Standard deviation of its logit.
    effect, effect_spread
        Price effect of an average ask: mean and standard deviation.
    feature_spread
        Standard deviation of a feature's weight in the base, for one standard deviation of the feature.
    interaction_spread
        The same for its weight in the price effect.
    spread_weight
        How many weights these two count like when they are learnt themselves, from how far the weights turn out to
        lie from 0 (empirical Bayes); None: they are not learnt.
    level
        Column of codes 0, 1, 2 ... (items or categories); each gets a base and a price effect of its own, shrunk
        towards what the features say. Empty: none.
    level_spread, level_effect_spread
        Standard deviation of levels about what the features say, in the base and in the price effect.
    least_effect
        Demand falls with the price by at least this much, whatever was drawn.
    memory
        Rows after which what was learnt counts 1/e; None: nothing is forgotten.
    """

    rate: float = Field(default=0.1, gt=0, lt=1)
    rate_spread: float = Field(default=2.0, gt=0)
    effect: float = Field(default=-2.0, lt=0)
    effect_spread: float = Field(default=1.0, gt=0)
    feature_spread: float = Field(default=0.5, gt=0)
    interaction_spread: float = Field(default=0.3, gt=0)
    spread_weight: float | None = Field(default=3.0, gt=0)
    level: str = ""
    level_spread: float = Field(default=0.5, gt=0)
    level_effect_spread: float = Field(default=0.3, gt=0)
    least_effect: float = Field(default=0.05, ge=0)
    memory: float | None = Field(default=None, gt=1)


@dataclass(frozen=True)
class LogitDemand:
    """A belief about demand.

    Parameters
    ----------
    settings
        Before the first sale.
    names
        Of the columns of features.
    centre, scale
        float64 (f,); features enter as (x - centre) / scale.
    belief
        Over 2 (1 + f) shared weights, base before effect, and a pair a level.
    spreads
        float64 (2,), standard deviations of features' weights in base and price effect, as believed by now.
    rows
        Sales or none learnt from so far.
    normals
        float64 (n, 2), by how many standard deviations models drawn for n asks are off the mean; None: none was drawn.
    """

    settings: DemandSettings
    names: tuple[str, ...]
    centre: Float64Array
    scale: Float64Array
    belief: Belief
    spreads: Float64Array
    rows: int = 0
    normals: Float64Array | None = None

    @classmethod
    def prior(
        cls, names: Sequence[str], settings: DemandSettings | None = None, sample: FloatArray | None = None
    ) -> LogitDemand:
        """Before the first sale.

        Parameters
        ----------
        names
            Of the f columns of features.
        sample
            Features (n, f) from which centre and scale are taken; as they stand where not given.

        Raises
        ------
        UsageError
            The level's column is not among the names.
        """
        settings = settings or DemandSettings()
        if settings.level and settings.level not in names:
            raise UsageError(f"demand has no column {settings.level!r}; level may be one of {', '.join(names)}.")
        width = len(names)
        centre, scale = np.zeros(width), np.ones(width)
        if sample is not None and len(sample):
            seen = np.where(np.isfinite(sample), sample, np.nan).astype(np.float64)
            known = np.isfinite(seen)
            count = np.maximum(known.sum(axis=0), 1)
            centre = np.where(known, seen, 0.0).sum(axis=0) / count
            scale = np.sqrt((np.where(known, seen - centre, 0.0) ** 2).sum(axis=0) / count)
            scale = np.where(scale > 1e-9, scale, 1.0)
        spreads = np.array([settings.feature_spread, settings.interaction_spread])
        return cls(settings, tuple(names), centre, scale, _first(settings, spreads, width, 0), spreads)

    def probability(self, features: FloatArray, relative: Float64Array) -> Float64Array:
        """See ``Demand``. What is believed is averaged over (MacKay 1992); a drawn model answers by its draw."""
        middle, spread = self.pairs(features)
        u = relative - 1.0
        if self.normals is not None:
            first = np.sqrt(spread[:, 0, 0])
            along = spread[:, 0, 1] / np.maximum(first, 1e-12)
            rest = np.sqrt(np.maximum(spread[:, 1, 1] - along**2, 0.0))
            one, other = self.normals[:, 0], self.normals[:, 1]
            base, effect = middle[:, 0] + first * one, middle[:, 1] + along * one + rest * other
            return logistic(base[:, None] + self._falling(effect)[:, None] * u)
        z = middle[:, :1] + self._falling(middle[:, 1])[:, None] * u
        return logistic(z / np.sqrt(1.0 + np.pi / 8.0 * _variance(spread, u)))

    def draw(self, generator: np.random.Generator, n: int, width: float = 1.0) -> LogitDemand:
        """See ``Demand``. Of each ask only base and effect are drawn, which is the same and takes two numbers."""
        return replace(self, normals=width * generator.standard_normal((n, 2)))

    def upper(self, features: FloatArray, relative: Float64Array, width: float) -> Float64Array:
        """See ``Demand``."""
        middle, spread = self.pairs(features)
        u = relative - 1.0
        z = middle[:, :1] + self._falling(middle[:, 1])[:, None] * u
        return logistic(z + width * np.sqrt(_variance(spread, u)))

    def learn(self, features: FloatArray, relative: Float64Array, bought: FloatArray) -> LogitDemand:
        """See ``Demand``. Rows whose price or outcome is not known teach nothing; an unknown feature counts as average.

        Raises
        ------
        UsageError
            An outcome is neither 0 nor 1.
        """
        known = np.isfinite(relative) & (np.asarray(relative) > 0) & np.isfinite(bought)
        happened = np.asarray(bought, dtype=np.float64)[known]
        odd = happened[(happened != 0) & (happened != 1)]
        if len(odd):
            raise UsageError(f"demand learns from 1 (bought) and 0 (not bought); {odd[0]:g} is neither.")
        wanted, levels = self._columns(features[known])
        u = np.asarray(relative, dtype=np.float64)[known] - 1.0
        belief = _grown(self.belief, self.settings, int(levels.max(initial=-1)) + 1)
        if self.settings.memory is not None:
            prior = _first(self.settings, self.spreads, len(self.names), len(belief.level_mean))
            belief = faded(belief, prior, float(np.exp(-len(u) / self.settings.memory)))
        if len(u):
            design = np.concatenate([wanted, wanted * u[:, None]], axis=1)
            belief = learnt(belief, design, np.stack([np.ones(len(u)), u], axis=1), levels, happened)
        return replace(self, belief=belief, rows=self.rows + len(u), normals=None)._with_spreads()

    def pairs(self, features: FloatArray) -> tuple[Float64Array, Float64Array]:
        """Base and price effect of n asks: means (n, 2) and covariances (n, 2, 2)."""
        wanted, levels = self._columns(features)
        half = wanted.shape[1]
        middle = _product(wanted, self.belief.mean.reshape(2, half).T)
        inner = _product(wanted, self.belief.covariance.reshape(2, half, 2 * half).transpose(1, 0, 2))
        spread = _contracted(wanted, inner.reshape(len(wanted), 2, 2, half))
        known = (levels >= 0) & (levels < len(self.belief.level_mean))
        if known.any():
            middle[known] += self.belief.level_mean[levels[known]]
            spread[known] += self.belief.level_covariance[levels[known]]
        if self.settings.level:
            fresh = np.array([self.settings.level_spread, self.settings.level_effect_spread]) ** 2
            spread[~known] += np.diag(fresh)
        return middle, spread

    def elasticity(self, features: FloatArray, relative: Float64Array) -> Float64Array:
        """Own-price elasticity of n asks at a price each, dlog P / dlog price; float64 (n,)."""
        middle, _ = self.pairs(features)
        effect = self._falling(middle[:, 1])
        chance = logistic(middle[:, 0] + effect * (relative - 1.0))
        return effect * relative * (1.0 - chance)

    def arrays(self) -> Arrays:
        """See ``Demand``; ``restore`` on a prior of the same names and settings takes them."""
        own = {name: getattr(self.belief, name) for name in _STATE}
        rows = np.array([self.rows], dtype=np.int64)
        return {**own, "centre": self.centre, "scale": self.scale, "spreads": self.spreads, "rows": rows}

    def restore(self, arrays: Arrays) -> LogitDemand:
        """The model that ``arrays`` came from.

        Raises
        ------
        UsageError
            The state is of another number of features.
        """
        if arrays["mean"].shape != self.belief.mean.shape:
            raise UsageError(
                f"demand over {len(self.names)} features cannot take up {len(arrays['mean']) // 2 - 1} of them."
            )
        belief = Belief(*(np.asarray(arrays[name]) for name in _STATE))
        return replace(
            self,
            belief=belief,
            centre=np.asarray(arrays["centre"]),
            scale=np.asarray(arrays["scale"]),
            spreads=np.asarray(arrays["spreads"]),
            rows=int(arrays["rows"][0]),
            normals=None,
        )

    def _with_spreads(self) -> LogitDemand:
        """After a step of expectation maximisation (Dempster et al., 1977) in how far weights lie from 0."""
        weight, width = self.settings.spread_weight, len(self.names)
        if weight is None or not width:
            return self
        settled = np.array([self.settings.feature_spread, self.settings.interaction_spread])
        squares = (self.belief.mean**2 + np.diag(self.belief.covariance)).reshape(2, 1 + width)[:, 1:]
        spreads = np.sqrt((weight * settled**2 + squares.sum(axis=1)) / (weight + width))
        before, after = (_spread(self.settings, own, width) for own in (self.spreads, spreads))
        return replace(self, belief=respread(self.belief, before, after), spreads=spreads)

    def _columns(self, features: FloatArray) -> tuple[Float64Array, IntArray]:
        """1 and the features as they enter (n, 1 + f), with the level's column 0; codes of levels (n,), -1 unknown."""
        own = (np.asarray(features, dtype=np.float64) - self.centre) / self.scale
        own = np.where(np.isfinite(own), own, 0.0)
        levels = np.full(len(own), -1, dtype=np.int32)
        if self.settings.level:
            column = self.names.index(self.settings.level)
            codes = features[:, column]
            known = np.isfinite(codes) & (codes >= 0)
            levels[known] = codes[known].astype(np.int32)
            own[:, column] = 0.0
        return np.concatenate([np.ones((len(own), 1)), own], axis=1), levels

    def _falling(self, effect: Float64Array) -> Float64Array:
        return np.minimum(effect, -self.settings.least_effect)


def logistic(z: Float64Array) -> Float64Array:
    """1 / (1 + exp(-z)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))


def _variance(spread: Float64Array, u: Float64Array) -> Float64Array:
    """Variance of base + effect u: (n, 2, 2) and (n, m) give (n, m)."""
    own = spread[:, 0, 0, None] + 2.0 * spread[:, 0, 1, None] * u + spread[:, 1, 1, None] * u**2
    return np.maximum(own, 0.0)


def _first(settings: DemandSettings, spreads: Float64Array, width: int, levels: int) -> Belief:
    mean = np.zeros(2 * (1 + width))
    mean[0], mean[1 + width] = np.log(settings.rate / (1 - settings.rate)), settings.effect
    own = np.array([settings.level_spread, settings.level_effect_spread])
    return Belief.prior(mean, _spread(settings, spreads, width), levels, own)


def _spread(settings: DemandSettings, spreads: Float64Array, width: int) -> Float64Array:
    """Prior standard deviations of the shared weights; float64 (2 (1 + f),)."""
    spread = np.repeat(spreads, 1 + width)
    spread[0], spread[1 + width] = settings.rate_spread, settings.effect_spread
    return spread


def _grown(belief: Belief, settings: DemandSettings, levels: int) -> Belief:
    """With room for levels that came since."""
    more = levels - len(belief.level_mean)
    if more <= 0:
        return belief
    new = Belief.prior(np.zeros(1), np.ones(1), more, np.array([settings.level_spread, settings.level_effect_spread]))
    return replace(
        belief,
        level_mean=np.concatenate([belief.level_mean, new.level_mean]),
        level_precision=np.concatenate([belief.level_precision, new.level_precision]),
        level_covariance=np.concatenate([belief.level_covariance, new.level_covariance]),
    )


def _product(rows: Float64Array, matrix: Float64Array) -> Float64Array:
    """(n, d) times (d, ...), one column after the other, so that a row alone gives the bits it gives among others."""
    result = np.zeros((len(rows), *matrix.shape[1:]))
    shape = (len(rows),) + (1,) * (matrix.ndim - 1)
    for column, values in enumerate(matrix):
        result += rows[:, column].reshape(shape) * values
    return result


def _contracted(rows: Float64Array, values: Float64Array) -> Float64Array:
    """Row by row the last axis of values (n, 2, 2, d) against rows (n, d), in the same order whatever n; (n, 2, 2)."""
    result = np.zeros(values.shape[:-1])
    for column in range(rows.shape[1]):
        result += rows[:, column, None, None] * values[..., column]
    return result
