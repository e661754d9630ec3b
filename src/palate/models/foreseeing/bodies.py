"""Bodies that read no sequence: logistic regression, a random forest, boosted trees; one of each a kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from palate.core import BoolArray, Float64Array, FloatArray
from palate.core.recommender import Arrays
from palate.core.trees import repeatable
from palate.measure.prediction import log_loss
from palate.models.foreseeing.bank import Bank
from palate.models.foreseeing.settings import NextBehaviourSettings
from palate.models.foreseeing.table import Inputs

Lessons = Mapping[str, tuple[Inputs, BoolArray]]
"""Inputs by kind, and whether it happened."""

_FLOOR = 1e-4


class Foresees(Protocol):
    """Odds of kinds from inputs."""

    def odds(self, kind: str, inputs: Inputs, bank: Bank) -> Float64Array:
        """Log-odds, not yet calibrated; float64 (n,)."""
        ...

    def arrays(self) -> dict[str, Any]:
        """The state."""
        ...


@dataclass(frozen=True)
class Linear:
    """Logistic regression over standardised inputs, what is unknown at its mean.

    Parameters
    ----------
    middle, unit
        float64 (f,) by kind.
    weights
        float64 (f + 1,) by kind, the intercept last.
    """

    middle: Mapping[str, Float64Array]
    unit: Mapping[str, Float64Array]
    weights: Mapping[str, Float64Array]

    @classmethod
    def learn(cls, lessons: Lessons, bank: Bank, settings: NextBehaviourSettings) -> Linear:
        """With the squared weights penalised."""
        from sklearn.linear_model import LogisticRegression

        middle, unit, weights = {}, {}, {}
        for kind, (inputs, happened) in lessons.items():
            flat = inputs.flat(bank)
            middle[kind], unit[kind] = spread(flat)
            standard = standardised(flat, middle[kind], unit[kind])
            found = LogisticRegression(C=1.0 / settings.penalty, max_iter=300).fit(standard, happened)
            weights[kind] = np.append(found.coef_[0], found.intercept_).astype(np.float64)
        return cls(middle, unit, weights)

    def odds(self, kind: str, inputs: Inputs, bank: Bank) -> Float64Array:
        standard = standardised(inputs.flat(bank), self.middle[kind], self.unit[kind])
        weights = self.weights[kind]
        # Not a matrix product: one question must get the number it gets in a batch.
        return np.asarray(np.einsum("nf,f->n", standard, weights[:-1]) + weights[-1])

    def arrays(self) -> dict[str, Any]:
        parts = (("middle", self.middle), ("unit", self.unit), ("weights", self.weights))
        return {f"{kind}.{name}": values[kind] for name, values in parts for kind in values}

    @classmethod
    def restore(cls, arrays: Arrays) -> Linear:
        """What ``arrays`` gave."""
        kinds = sorted({name.partition(".")[0] for name in arrays})
        parts = (
            {kind: np.asarray(arrays[f"{kind}.{part}"]) for kind in kinds} for part in ("middle", "unit", "weights")
        )
        return cls(*parts)


@dataclass(frozen=True)
class Trees:
    """LightGBM's ensembles by kind, in its own text format: boosted, or a random forest (Breiman, 2001).

    Parameters
    ----------
    models
        Text by kind.
    forest
        Whether trees vote rather than correct each other.
    """

    models: Mapping[str, str]
    forest: bool

    @classmethod
    def learn(
        cls,
        lessons: Lessons,
        held: Lessons,
        bank: Bank,
        settings: NextBehaviourSettings,
        *,
        forest: bool,
        rounds: Mapping[str, int] | None = None,
    ) -> Trees:
        """Boosting ends where validation gains no more.

        Parameters
        ----------
        rounds
            Trees by kind; as settings and validation have it where None.
        """
        import lightgbm

        shape = repeatable(settings.seed) | {"objective": "binary", "metric": "binary_logloss", "max_bin": 63}
        if forest:
            shape |= {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.63, "feature_fraction": 0.4}
            shape |= {"num_leaves": settings.forest_leaves, "min_data_in_leaf": max(settings.minimum_leaf // 4, 1)}
        else:
            shape |= {"learning_rate": settings.step, "num_leaves": settings.leaves, "lambda_l2": 5.0}
            shape |= {"feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1}
            shape |= {"min_data_in_leaf": settings.minimum_leaf}
        most = settings.forest_trees if forest else settings.trees
        models = {}
        for kind, (inputs, happened) in lessons.items():
            names = [name.replace("_", ".") for name in inputs.names(bank)]
            data = lightgbm.Dataset(inputs.flat(bank), happened.astype(np.int8), feature_name=names)
            valid, calls = [], []
            if not forest and kind in held:
                own, came = held[kind]
                valid = [lightgbm.Dataset(own.flat(bank), came.astype(np.int8), reference=data)]
                calls = [lightgbm.early_stopping(30, verbose=False)]
            models[kind] = lightgbm.train(
                shape, data, (rounds or {}).get(kind, most), valid_sets=valid, callbacks=calls
            ).model_to_string()
        return cls(models, forest)

    @property
    def sizes(self) -> dict[str, int]:
        """Trees by kind."""
        return {kind: max(1, booster.num_trees()) for kind, booster in self._boosters.items()}

    def odds(self, kind: str, inputs: Inputs, bank: Bank) -> Float64Array:
        if not len(inputs):
            return np.zeros(0)
        flat = inputs.flat(bank)
        if not self.forest:
            return np.asarray(self._boosters[kind].predict(flat, raw_score=True, num_threads=1), dtype=np.float64)
        share = np.clip(self._boosters[kind].predict(flat, num_threads=1), _FLOOR, 1 - _FLOOR)
        return np.asarray(np.log(share / (1 - share)))

    def gains(self, kind: str) -> dict[str, float]:
        """Share of the gain of all splits by input, the largest first."""
        booster = self._boosters[kind]
        gains = np.asarray(booster.feature_importance("gain"), dtype=np.float64)
        shares = gains / max(float(gains.sum()), 1e-12)
        order = np.argsort(-shares, kind="stable")
        return {booster.feature_name()[place].replace(".", "_"): float(shares[place]) for place in order}

    @cached_property
    def _boosters(self) -> dict[str, Any]:
        import lightgbm

        return {kind: lightgbm.Booster(model_str=text) for kind, text in self.models.items()}

    def arrays(self) -> dict[str, Any]:
        return {f"{kind}.text": np.frombuffer(text.encode(), dtype=np.uint8) for kind, text in self.models.items()}

    @classmethod
    def restore(cls, arrays: Arrays, forest: bool) -> Trees:
        """What ``arrays`` gave."""
        texts = {name.partition(".")[0]: np.asarray(array).tobytes().decode() for name, array in arrays.items()}
        return cls(texts, forest)


def spread(flat: FloatArray) -> tuple[Float64Array, Float64Array]:
    """Mean and standard deviation of each column where it is known; 0 and 1 where it never is."""
    known = np.isfinite(flat)
    count = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, flat, 0.0).sum(axis=0, dtype=np.float64) / count
    variance = (np.where(known, flat - middle, 0.0) ** 2).sum(axis=0, dtype=np.float64) / count
    unit = np.sqrt(variance)
    return middle, np.where(unit > 1e-6, unit, 1.0)


def standardised(flat: FloatArray, middle: Float64Array, unit: Float64Array) -> FloatArray:
    """Columns of mean 0 and length 1, what is unknown at 0, nothing further out than 5."""
    return np.clip(np.nan_to_num((flat - middle) / unit, nan=0.0), -5.0, 5.0).astype(np.float32)


def loss_of(odds: Float64Array, happened: BoolArray) -> float:
    """Mean log loss of log-odds."""
    return log_loss(happened, 0.5 * (1.0 + np.tanh(0.5 * odds)))
