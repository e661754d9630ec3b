"""The learned ranker: LambdaMART over the feature table (Burges, "From RankNet to LambdaRank to LambdaMART", 2010)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import Field

from palate.core import BoolArray, FloatArray, Settings
from palate.core.space import Space, Span
from palate.core.threads import threads
from palate.core.trees import repeatable

SHARPNESS = (0.1, 10.0)
"""Bounds of a ranker's sharpness."""

_ENOUGH_FOR_THREADS = 64
"""Questions whose scoring takes longer than waking other threads for it."""


class RankerSettings(Settings):
    """Of the boosted trees.

    Parameters
    ----------
    members
        Ensembles whose mean ranks; they differ by seed, and each stops when it has learnt enough.
    trees, leaves, learning_rate, minimum_leaf
        Most trees of an ensemble, size of a tree, of a step, and candidates a leaf needs.
    feature_fraction, bagging_fraction
        Shares of features and of candidates each tree sees.
    truncation
        Pairs with both items below this rank do not count.
    patience
        Trees without gain on the stopping questions before training ends.
    questions
        At most this many questions are asked to learn from.
    examples, stopping
        Asking ends when this many answers were proposed: of the questions learnt from, of those that decide the end.
    questions_each
        At most this many of them from one user.
    """

    members: int = Field(default=1, ge=1, le=20)
    trees: int = Field(default=400, ge=1)
    leaves: int = Field(default=8, ge=2)
    learning_rate: float = Field(default=0.06, gt=0)
    minimum_leaf: int = Field(default=100, ge=1)
    feature_fraction: float = Field(default=0.6, gt=0, le=1)
    bagging_fraction: float = Field(default=0.8, gt=0, le=1)
    truncation: int = Field(default=20, ge=1)
    patience: int = Field(default=60, ge=1)
    questions: int = Field(default=40_000, ge=100)
    examples: int = Field(default=6_000, ge=100)
    stopping: int = Field(default=3_000, ge=100)
    questions_each: int = Field(default=8, ge=1)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "trees": Span(100, 1200, log=True),
                "leaves": Span(4, 63, log=True),
                "learning_rate": Span(0.02, 0.2, log=True),
                "minimum_leaf": Span(10, 300, log=True),
                "feature_fraction": Span(0.3, 1.0),
                "bagging_fraction": Span(0.5, 1.0),
                "truncation": Span(10, 60, log=True),
            }
        )


@dataclass(frozen=True)
class Examples:
    """Questions whose answer stands among the candidates.

    Parameters
    ----------
    features
        float32 (n, c, f).
    relevant
        bool (n, c); at least one in each row.
    valid
        bool (n, c); False where there is no candidate.
    """

    features: FloatArray
    relevant: BoolArray
    valid: BoolArray

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Growth:
    """What training found out by questions it did not learn from, to train again with on more.

    Parameters
    ----------
    trees
        How many each ensemble has.
    sharpness
        What turns scores into log-odds.
    """

    trees: tuple[int, ...]
    sharpness: float = 1.0

    def at_least(self, trees: int) -> Growth:
        """No ensemble smaller than so many trees."""
        return replace(self, trees=tuple(max(each, trees) for each in self.trees))


@dataclass(frozen=True)
class Ranker:
    """Fitted trees: several ensembles, whose mean is the score (Breiman, "Bagging predictors", 1996).

    Parameters
    ----------
    models
        Of each ensemble, LightGBM's own text format.
    names
        Features, in order.
    growth
        How many trees they have, and how sharp their scores are.
    """

    models: tuple[str, ...]
    names: tuple[str, ...]
    growth: Growth

    @cached_property
    def _boosters(self) -> list[Any]:
        import lightgbm

        return [lightgbm.Booster(model_str=model) for model in self.models]

    def score(self, features: FloatArray) -> FloatArray:
        """Scores of candidates; float32 (n, c) from float32 (n, c, f)."""
        n, c, f = features.shape
        used = 1 if n < _ENOUGH_FOR_THREADS else threads()
        table = features.reshape(n * c, f)
        flat = sum(booster.predict(table, num_threads=used) for booster in self._boosters) / len(self.models)
        return np.asarray(flat, dtype=np.float32).reshape(n, c)

    def contributions(self, features: FloatArray) -> FloatArray:
        """TreeSHAP (Lundberg et al. 2020): what each feature adds to the score; float64 (n, f + 1), the last the base.

        Rows sum to the score of float32 (n, f) features.
        """
        told = sum(booster.predict(features, pred_contrib=True) for booster in self._boosters) / len(self.models)
        return np.asarray(told, dtype=np.float64)

    def importance(self) -> dict[str, dict[str, float]]:
        """What each feature brought, all of them, the most important first: 0 says that no tree looks at it.

        Returns
        -------
        Feature -> ``gain`` (the sum over all splits of what they took from the loss) and ``share`` of all gain.
        """
        gains = np.asarray(sum(booster.feature_importance("gain") for booster in self._boosters), dtype=np.float64)
        total = max(float(gains.sum()), 1e-12)
        order = np.argsort(-gains, kind="stable")
        return {self.names[i]: {"gain": float(gains[i]), "share": float(gains[i]) / total} for i in order}


def learn(
    examples: Examples,
    stopping: Examples | None,
    names: tuple[str, ...],
    settings: RankerSettings,
    seed: int,
    *,
    growth: Growth | None = None,
) -> Ranker:
    """Train on examples; ``stopping`` decides only when to end and how sharp the scores are.

    Parameters
    ----------
    growth
        Both, where nothing stops it; the trees of the settings where left out.
    """
    import lightgbm

    parameters = {
        **repeatable(seed, threads()),
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.minimum_leaf,
        "feature_fraction": settings.feature_fraction,
        "bagging_fraction": settings.bagging_fraction,
        "bagging_freq": 1,
        "lambdarank_truncation_level": settings.truncation,
        "max_bin": 127,
    }
    table = _table(examples, names)
    watched = [_table(stopping, names, table)] if stopping is not None and len(stopping) else []
    models, kept = [], []
    for member in range(settings.members):
        callbacks = [lightgbm.early_stopping(settings.patience, verbose=False)] if watched else []
        most = growth.trees[member] if growth else settings.trees
        # Seeds of members are far apart: those of seed 0 are not those of seed 1.
        own = parameters | {"seed": (seed + member * 1_000_003) % 2**31}
        booster = lightgbm.train(own, table, most, valid_sets=watched, callbacks=callbacks)
        kept.append(
            int(booster.best_iteration) if watched and booster.best_iteration > 0 else booster.current_iteration()
        )
        models.append(booster.model_to_string(num_iteration=kept[-1]))
    ranker = Ranker(tuple(models), names, Growth(tuple(kept), growth.sharpness if growth else 1.0))
    if stopping is None or not watched:
        return ranker
    sharpness = sharpness_of(ranker.score(stopping.features), stopping)
    return replace(ranker, growth=replace(ranker.growth, sharpness=sharpness))


def sharpness_of(scores: FloatArray, examples: Examples) -> float:
    """The factor under which a softmax of scores, float32 (n, c), foretells best which candidate was the one."""
    from scipy.optimize import minimize_scalar

    logits = np.where(examples.valid, scores.astype(np.float64), -np.inf)
    logits -= logits.max(axis=1, keepdims=True)
    right = logits.sum(axis=1, where=examples.relevant) / examples.relevant.sum(axis=1)

    def loss(power: float) -> float:
        factor = np.exp(power)
        return float((np.log(np.exp(factor * logits).sum(axis=1)) - factor * right).mean())

    low, high = SHARPNESS
    found = minimize_scalar(loss, bounds=(np.log(low), np.log(high)), method="bounded")
    return float(np.exp(found.x))


def _table(examples: Examples, names: tuple[str, ...], reference: Any = None) -> Any:
    import lightgbm

    valid = examples.valid
    return lightgbm.Dataset(
        examples.features[valid],
        examples.relevant[valid].astype(np.int8),
        group=valid.sum(axis=1),
        feature_name=list(names),
        reference=reference,
        free_raw_data=True,
    )
