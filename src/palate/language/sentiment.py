"""How content somebody is, read from what they write: learnt from rated reviews, from a lexicon where there are none.

Character 1- to 3-grams for Chinese, words and pairs of words for other scripts, each weighed by how unevenly contented
and discontented reviews use it, under a logistic regression (NB-SVM; Wang & Manning, "Baselines and Bigrams", 2012).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from palate.core import BoolArray, DataError, FloatArray, Settings
from palate.core import artefact as artefacts
from palate.core.recommender import Arrays
from palate.language.terms import CJK
from palate.language.tone import tones

_RUNS = re.compile(rf"[{CJK}，。！？、；：…~]+|[^\W_{CJK}]+|[!?]")
_IS_CJK = re.compile(rf"[{CJK}，。！？、；：…~]")
_KIND = "sentiment"
_LEAST_OF_EACH = 20


class SentimentSettings(Settings):
    """Hyper-parameters.

    Parameters
    ----------
    bits
        Terms are hashed into 2 ** bits columns.
    regularization
        Strength of the squared penalty on the weights.
    smoothing
        Reviews that every term is thought to have been seen in on either side beside the real ones.
    characters
        A text beyond this is not read.
    longest
        Characters of the longest Chinese term.
    """

    bits: int = Field(default=20, ge=10, le=24)
    regularization: float = Field(default=0.1, gt=0)
    smoothing: float = Field(default=1.0, gt=0)
    characters: int = Field(default=1000, ge=10)
    longest: int = Field(default=3, ge=1, le=5)


@dataclass(frozen=True)
class _Weights:
    """Of each column: how uneven its use is, and which way it pulls; float32 (2 ** bits,) each, and the bias."""

    uneven: FloatArray
    pull: FloatArray
    bias: float


class SentimentModel:
    """Tells contented from discontented texts, in any language it was taught."""

    def __init__(self, settings: SentimentSettings | None = None) -> None:
        self.settings = settings or SentimentSettings()
        self._weights: _Weights | None = None

    @property
    def taught(self) -> bool:
        """Whether it has learnt from reviews; it answers from the lexicon until then."""
        return self._weights is not None

    def fit(self, texts: Sequence[str], contented: Sequence[bool] | BoolArray) -> Self:
        """Learn from n texts of which it is known whether their writers were content.

        Raises
        ------
        DataError
            Fewer than 20 texts of either sort, or not a label for each.
        """
        labels = np.asarray(contented, dtype=bool)
        if len(labels) != len(texts):
            raise DataError(f"{len(texts):,} reviews and {len(labels):,} labels; give one label for each review.")
        few = min(int(labels.sum()), int((~labels).sum()))
        if few < _LEAST_OF_EACH:
            raise DataError(
                f"only {few} of {len(labels):,} reviews are of the rarer sort; at least {_LEAST_OF_EACH} contented and "
                f"{_LEAST_OF_EACH} discontented ones are needed. Until then the lexicon answers."
            )
        from sklearn.linear_model import LogisticRegression

        counts = self._columns(texts)
        good = np.asarray(counts[labels].sum(axis=0)).ravel() + self.settings.smoothing
        bad = np.asarray(counts[~labels].sum(axis=0)).ravel() + self.settings.smoothing
        uneven = np.abs(np.log((good / good.sum()) / (bad / bad.sum()))).astype(np.float32)
        # A term of one review says which review it is, not how its writer felt.
        uneven[good + bad - 2 * self.settings.smoothing < 2] = 0
        regression = LogisticRegression(C=1 / self.settings.regularization, solver="liblinear", random_state=0)
        regression.fit(_weighed(counts, uneven), labels)
        self._weights = _Weights(uneven, regression.coef_[0].astype(np.float32), float(regression.intercept_[0]))
        return self

    @classmethod
    def of_ratings(
        cls, texts: Sequence[str], ratings: FloatArray, settings: SentimentSettings | None = None
    ) -> SentimentModel:
        """Learn from rated reviews: the best two fifths of the scale are contented, the worst two are not.

        Parameters
        ----------
        ratings
            float32 (n,), NaN where a text has none; the scale runs from the lowest to the highest there is.

        Raises
        ------
        DataError
            There are too few of either sort.
        """
        values = np.asarray(ratings, dtype=np.float64)
        known = values[~np.isnan(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        share = (values - low) / max(high - low, 1e-9)
        clear = (share <= 0.4) | (share >= 0.7)
        chosen = [text for text, is_clear in zip(texts, clear, strict=True) if is_clear]
        return cls(settings).fit(chosen, share[clear] >= 0.7)

    def score(self, texts: Sequence[str]) -> FloatArray:
        """Between -1 (discontented for certain) and 1 (content) for n texts; 0 says nothing; float32 (n,)."""
        weights = self._weights
        if weights is None:
            return np.array([tone.score for tone in tones(texts)], dtype=np.float32)
        if not len(texts):
            return np.zeros(0, dtype=np.float32)
        weighed = _weighed(self._columns(texts), weights.uneven)
        score = np.tanh((weighed @ weights.pull + weights.bias) / 2)
        return np.where(np.diff(weighed.indptr) > 0, score, 0.0).astype(np.float32)

    def why(self, text: str, most: int = 6) -> list[tuple[str, float]]:
        """Terms of a text that say most, the strongest first, with what each adds to the log-odds."""
        weights = self._weights
        if weights is None:
            return list(tones([text])[0].words[:most])
        terms = list(dict.fromkeys(self._terms(text)))
        weighed = _weighed(self._columns([text]), weights.uneven)
        adds = np.zeros(len(weights.pull), dtype=np.float32)
        adds[weighed.indices] = weighed.data * weights.pull[weighed.indices]
        each = [(term, float(adds[self._columns([term], whole=True).indices[0]])) for term in terms]
        return sorted(each, key=lambda pair: -abs(pair[1]))[:most]

    def arrays(self) -> Arrays:
        """The fitted state; empty before ``fit``."""
        own = self._weights
        if own is None:
            return {}
        columns = np.nonzero((own.pull != 0) & (own.uneven != 0))[0].astype(np.int32)
        return {
            "columns": columns,
            "uneven": own.uneven[columns],
            "pull": own.pull[columns],
            "bias": np.array([own.bias], dtype=np.float64),
        }

    def restore(self, arrays: Arrays) -> Self:
        """Take a state saved by ``arrays``."""
        if not arrays:
            return self
        uneven, pull = np.zeros((2, 1 << self.settings.bits), dtype=np.float32)
        uneven[arrays["columns"]], pull[arrays["columns"]] = arrays["uneven"], arrays["pull"]
        self._weights = _Weights(uneven, pull, float(arrays["bias"][0]))
        return self

    def save(self, folder: str | Path) -> None:
        """Write the model as a directory, whole or not at all."""
        manifest = {"settings": self.settings.model_dump()}
        groups = {"weights": self.arrays()} if self.taught else {}
        artefacts.write(artefacts.Artefact(_KIND, manifest, groups), Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> SentimentModel:
        """Read a model that ``save`` wrote.

        Raises
        ------
        ArtefactError
            The folder is damaged, foreign or of another format; the message says which.
        """
        read = artefacts.read(Path(folder), _KIND)
        settings = SentimentSettings.model_validate(read.manifest["settings"])
        return cls(settings).restore(read.arrays.get("weights", {}))

    def _columns(self, texts: Sequence[str], whole: bool = False) -> sparse.csr_matrix:
        """Which columns each text's terms are in; float32 (n, 2 ** bits) of ones. ``whole``: a text is one term."""
        from sklearn.feature_extraction import FeatureHasher

        hasher = FeatureHasher(1 << self.settings.bits, input_type="string", alternate_sign=False, dtype=np.float32)
        found = hasher.transform([text] if whole else set(self._terms(text)) for text in texts)
        found.data[:] = 1
        return found

    def _terms(self, text: str) -> list[str]:
        """Parts of a text that are counted."""
        found: list[str] = []
        latin: list[str] = []
        for run in _RUNS.findall(unicodedata.normalize("NFKC", text[: self.settings.characters]).lower()):
            if _IS_CJK.match(run):
                for size in range(1, self.settings.longest + 1):
                    found += [run[start : start + size] for start in range(len(run) - size + 1)]
            else:
                latin.append(run)
        return [*found, *latin, *(f"{first} {second}" for first, second in pairwise(latin))]


def _weighed(counts: sparse.csr_matrix, uneven: FloatArray) -> sparse.csr_matrix:
    """Rows of unit length with each column by its weight; columns without one are dropped."""
    weighed = sparse.csr_matrix((uneven[counts.indices], counts.indices, counts.indptr), shape=counts.shape)
    weighed.eliminate_zeros()
    lengths = np.diff(weighed.indptr)
    rows = np.repeat(np.arange(weighed.shape[0]), lengths)
    norms = np.sqrt(np.bincount(rows, weights=weighed.data.astype(np.float64) ** 2, minlength=weighed.shape[0]))
    weighed.data /= np.repeat(np.maximum(norms, 1e-12), lengths).astype(np.float32)
    return weighed


def learn_sentiment(events: Any, settings: SentimentSettings | None = None) -> SentimentModel:
    """A model taught by the rated reviews among events; one that asks the lexicon where they are too few.

    Parameters
    ----------
    events
        A dataset's ``events``: rows with both ``text`` and ``value`` are learnt from.
    """
    if not {"text", "value"} <= set(events.columns):
        return SentimentModel(settings)
    rated = events.drop_nulls(["text", "value"])
    try:
        return SentimentModel.of_ratings(rated["text"].to_list(), rated["value"].cast(float).to_numpy(), settings)
    except DataError:
        return SentimentModel(settings)
