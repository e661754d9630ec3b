"""Profile x text: ``r(u, i) = v_i' W u + b`` with W learned (``R = V' W U``).

``v_i`` is what an item's text and facts say; ``u`` is the profile of a history (category and price mix, how much, how
often, how lately) and the mean of its texts. Nothing knows an item or user by its id, so both may be new.

Two forms, which are not equal. Plain: squared error over observed pairs (target 1), every pair of an asker and an item
in the catalogue standing as 0 with a small weight (implicit feedback has no other zeros), plus ``lambda |W|^2``; solved
by conjugate gradients on the normal equations, whose second part is a Kronecker product. Normalised: a softmax over all
items, by maximum likelihood on sampled items.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from palate.core import (
    Abilities,
    DataError,
    FloatArray,
    IntArray,
    Queries,
    Rankings,
    Settings,
)
from palate.core.recommender import Arrays
from palate.core.space import Choice, Space, Span
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder
from palate.models.fitted import need, new_items
from palate.models.linear import recommend_in_batches
from palate.models.profiles import ItemFacts, Moments, moments_of

_EPOCHS, _STEPS, _ROWS, _SAMPLES, _RATE = 6, 300, 512, 1024, 0.02
"""Of the normalised form's descent: passes, or steps where that is more; pairs and sampled items a step; its length."""


class BilinearSettings(Settings):
    """Hyper-parameters of profile x text.

    Parameters
    ----------
    dimensions
        Leading directions of the texts.
    categories
        Most frequent categories that count as facts.
    regularization
        lambda, per observed pair.
    negative_weight
        Weight of all unobserved pairs together, relative to the observed ones.
    normalised
        The softmax form.
    decay
        What an event of the history is worth in its profile relative to the next one.
    window
        Newest events of a history that count.
    text_weight
        What a wish in words is worth relative to the history's texts.
    maximum_pairs
        Observed pairs learnt from, drawn by ``seed`` where there are more.
    """

    dimensions: int = Field(default=128, ge=1)
    categories: int = Field(default=48, ge=0)
    regularization: float = Field(default=1e-5, gt=0)
    negative_weight: float = Field(default=10.0, gt=0)
    normalised: bool = True
    decay: float = Field(default=0.6, gt=0, le=1)
    window: int = Field(default=20, ge=1)
    text_weight: float = Field(default=1.0, ge=0)
    maximum_pairs: int = Field(default=200_000, ge=1)
    seed: int = 0

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "dimensions": Span(32, 256, log=True),
                "categories": Span(0, 96),
                "regularization": Span(1e-7, 1e-2, log=True),
                "negative_weight": Span(1.0, 1000.0, log=True),
                "normalised": Choice((True, False)),
                "decay": Span(0.3, 1.0),
                "window": Span(5, 50, log=True),
            },
            first=(
                {"dimensions": 64},
                {"decay": 0.8},
                {"regularization": 1e-3},
                {"negative_weight": 100.0},
                {"normalised": False},
            ),
        )


class Bilinear:
    """A learned match between who asks and what an item says.

    Parameters
    ----------
    settings
        The defaults where None.
    encoder
        Reads item texts and wishes. Where the catalogue has no text, facts alone (categories, prices) are used.
    """

    name: ClassVar[str] = "bilinear"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_text=True, uses_time=True)

    def __init__(self, settings: BilinearSettings | None, encoder: TextEncoder) -> None:
        self.settings = settings or BilinearSettings()
        self.encoder = encoder
        self._facts: ItemFacts | None = None
        self._weights: FloatArray = np.empty((0, 0), dtype=np.float32)
        self._image: FloatArray = np.empty((0, 0), dtype=np.float32)

    @property
    def n_items(self) -> int:
        return len(self._need().features)

    @property
    def weights(self) -> FloatArray:
        """W; float32 (item features, profile features)."""
        self._need()
        return self._weights

    def fit(self, dataset: Dataset) -> Self:
        """Learn W from every event and the history before it.

        Raises
        ------
        DataError
            Items have neither texts nor categories nor prices, so there is nothing to match.
        """
        settings = self.settings
        facts = ItemFacts.of(dataset.catalogue, self.encoder, settings.dimensions, settings.categories)
        if not np.ptp(facts.features, axis=0).any():
            raise DataError("bilinear matches profiles with what items say, but items have no text, category or price")
        moments, targets = moments_of(dataset.sequences, settings.window, settings.maximum_pairs, settings.seed)
        profiles = self._profiles(facts, moments)
        learn = _maximum_likelihood if settings.normalised else _least_squares
        return self._take(facts, learn(facts.features, profiles, targets, settings))

    def extend(self, catalogue: Catalogue) -> Self:
        """Serve a catalogue that grew: items after the known ones are read and appended."""
        facts = self._need()
        if not len(new_items(catalogue, self.n_items)):
            return self
        return self._take(facts.extended(catalogue, self.encoder), self._weights)

    def score(self, queries: Queries) -> FloatArray:
        """Match of each item; float32 (n, n_items). Probabilities over all items in the normalised form."""
        profiles = self._profiles(self._need(), Moments.asked(queries, self.settings.window))
        scores: FloatArray = profiles @ self._image.T
        if self.settings.normalised:
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def arrays(self) -> Arrays:
        return {**self._need().arrays(), "weights": self._weights}

    def restore(self, arrays: Arrays) -> Self:
        return self._take(ItemFacts.from_arrays(arrays), np.asarray(arrays["weights"], dtype=np.float32))

    def _need(self) -> ItemFacts:
        return need(self._facts, self.name)

    def _take(self, facts: ItemFacts, weights: FloatArray) -> Self:
        self._facts, self._weights = facts, weights
        self._image = np.ascontiguousarray(facts.features @ weights)
        return self

    def _profiles(self, facts: ItemFacts, moments: Moments) -> FloatArray:
        wishes = None
        if facts.space is not None and moments.text is not None and any(moments.text):
            wishes = np.float32(self.settings.text_weight) * facts.space.project(self.encoder.encode(moments.text))
        return facts.profiles(moments, self.settings.decay, wishes)


def _least_squares(
    items: FloatArray, profiles: FloatArray, targets: IntArray, settings: BilinearSettings
) -> FloatArray:
    """``sum (1 - v'Wu)^2 + w0 sum_all (v'Wu)^2 + lambda |W|^2`` at its minimum."""
    from scipy.sparse.linalg import LinearOperator, cg

    taken = items[targets]
    shape, pairs = (items.shape[1], profiles.shape[1]), len(targets)
    zero_weight = np.float32(settings.negative_weight / len(items))
    item_gram, profile_gram = items.T @ items, profiles.T @ profiles
    penalty = np.float32(settings.regularization * pairs)

    def normal(flat: FloatArray) -> FloatArray:
        weights = flat.reshape(shape).astype(np.float32)
        observed = np.einsum("md,md->m", taken @ weights, profiles)
        image = taken.T @ (profiles * observed[:, None])
        image += zero_weight * (item_gram @ weights @ profile_gram) + penalty * weights
        return np.asarray(image).ravel()

    operator = LinearOperator((shape[0] * shape[1],) * 2, matvec=normal, dtype=np.float32)
    solution, _ = cg(operator, (taken.T @ profiles).ravel(), rtol=1e-4, maxiter=100)
    return np.asarray(solution.reshape(shape), dtype=np.float32)


def _maximum_likelihood(
    items: FloatArray, profiles: FloatArray, targets: IntArray, settings: BilinearSettings
) -> FloatArray:
    """Softmax over the target and sampled items, by Adam (Kingma & Ba, 2015); uniform samples need no correction."""
    random = np.random.default_rng(settings.seed)
    weights = np.zeros((items.shape[1], profiles.shape[1]), dtype=np.float32)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    step = 0
    per_pass = max(1, len(targets) // _ROWS)
    for _ in range(max(_EPOCHS, _STEPS // per_pass)):
        for rows in np.array_split(random.permutation(len(targets)), per_pass):
            step += 1
            others = random.integers(len(items), size=min(_SAMPLES, len(items)))
            gradient = _gradient(items[targets[rows]], items[others], profiles[rows], weights)
            gradient += np.float32(settings.regularization) * weights
            mean += np.float32(0.1) * (gradient - mean)
            square += np.float32(0.001) * (gradient * gradient - square)
            rate = _RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            weights -= np.float32(rate) * mean / (np.sqrt(square) + np.float32(1e-8))
    return weights


def _gradient(taken: FloatArray, others: FloatArray, profiles: FloatArray, weights: FloatArray) -> FloatArray:
    """Of the mean negative log-likelihood of what was taken against the others."""
    wanted = profiles @ weights.T
    positive = np.einsum("md,md->m", wanted, taken)[:, None]
    negative = wanted @ others.T
    top = np.maximum(positive, negative.max(axis=1, keepdims=True))
    np.exp(negative - top, out=negative)
    chance = np.exp(positive - top)
    total = chance + negative.sum(axis=1, keepdims=True)
    pull = (chance / total - 1.0) * taken + (negative / total) @ others
    return np.asarray(pull.T @ profiles / np.float32(len(profiles)), dtype=np.float32)
