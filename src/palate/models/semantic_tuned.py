"""Language vectors that have learnt the shop: what people took one after the other reads alike.

A frozen transformer reads the catalogue; two heads on top of it, one for what somebody had and one for what is
offered, are taught by histories (contrastive, with all other texts as wrong answers). The heads are taught anew on
whatever the model is fitted on, so that a ranker never sees answers that its sources learnt by heart. The frozen
vectors stay a source of their own (``semantic``); wishes in words are left to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from palate.core import Abilities, FloatArray, IntArray, Queries, Rankings, Settings, UsageError
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder
from palate.language.registry import is_plain
from palate.language.tuning.settings import AdaptSettings, VectorSettings
from palate.language.verbalise import item_texts
from palate.models.factors import mean_vectors, shares
from palate.models.fitted import TextReader, need
from palate.models.item_blocks import part_of
from palate.models.linear import recommend_in_batches

if TYPE_CHECKING:
    from palate.language.tuning.corpus import Corpus
    from palate.language.tuning.shop import Adapted
    from palate.language.tuning.vectors import Vectors

Progress = Callable[[str, float], None]


class SemanticTunedSettings(Settings):
    """Hyper-parameters of the taught semantic model.

    Parameters
    ----------
    decay
        What an event of the history asked about is worth relative to the next one.
    adapt
        How the heads are taught; its ``model`` is the engine's own where that can be taught. A tenth of the users'
        newest events decide when to end. Nothing is kept of the untaught likeness, which the semantic model brings.
    """

    decay: float = Field(default=0.6, gt=0, le=1)
    adapt: AdaptSettings = AdaptSettings(held_out=0.1, vectors=VectorSettings(kept=0.0))

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space({"decay": Span(0.3, 1.0)})


class SemanticTuned(TextReader):
    """An item's score is the cosine of its vector with the mean of the vectors that the history's items have as asked.

    Parameters
    ----------
    settings
        The defaults where None.
    encoder
        The engine's, whose transformer is taught; a lexical or a compressed one cannot be.
    """

    name: ClassVar[str] = "semantic_tuned"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True)

    def __init__(self, settings: SemanticTunedSettings | None, encoder: TextEncoder | None) -> None:
        self.settings = settings or SemanticTunedSettings()
        self.encoder = encoder
        self._vectors: FloatArray | None = None
        self._asking: FloatArray | None = None
        self._heads: dict[str, Arrays] = {}
        self._corpus: Corpus | None = None
        self._epochs = 0

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    @property
    def item_vectors(self) -> FloatArray:
        """float32 (n_items, d), of items as something offered; rows of length 1, zeros for items without text."""
        return need(self._vectors, self.name)

    @property
    def asking_vectors(self) -> FloatArray:
        """float32 (n_items, d), of items as something had."""
        return need(self._asking, self.name)

    def fit(self, dataset: Dataset, progress: Progress | None = None) -> Self:
        """Teach heads by the dataset's histories.

        Raises
        ------
        UsageError
            The encoder is none that can be taught.
        DataError
            No item has a text, or nobody has two events.
        """
        return self._taught(dataset, self.settings.adapt, None, progress)

    def refit(self, dataset: Dataset, progress: Progress | None = None) -> Self:
        """Another model, taught by other events of the same catalogue for as many epochs as were right here."""
        adapt = self.settings.adapt
        course = adapt.course.model_copy(update={"epochs": max(self._epochs, 1)})
        how = adapt.model_copy(update={"held_out": 0.0, "course": course})
        return type(self)(self.settings, self.encoder)._taught(dataset, how, self._corpus, progress)

    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        """Encode the texts of some items, new or changed, again."""
        if len(items):
            texts = item_texts(part_of(catalogue, items))
            offered, asking = self._read(texts)
            self._vectors = _placed(self.item_vectors, items, offered)
            self._asking = _placed(self.asking_vectors, items, asking)
        return self

    def score(self, queries: Queries) -> FloatArray:
        """Cosine of each item with the history; float32 (n, n_items), 0 where there is no text."""
        wanted = mean_vectors(self.asking_vectors, queries.history, self.settings.decay)
        length = np.maximum(np.linalg.norm(wanted, axis=1, keepdims=True), np.float32(1e-12))
        return np.asarray((wanted / length) @ self.item_vectors.T, dtype=np.float32)

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event adds to each item's score; float32 (h, k)."""
        decay = self.settings.decay
        wanted = mean_vectors(self.asking_vectors, queries.history, decay)
        length = max(float(np.linalg.norm(wanted)), 1e-12)
        return shares(self.asking_vectors, queries.history, decay, items, self.item_vectors) / np.float32(length)

    def arrays(self) -> Arrays:
        return {
            "item_vectors": self.item_vectors,
            "asking_vectors": self.asking_vectors,
            "epochs": np.array([self._epochs]),
            **{f"{side}.{name}": value for side, head in self._heads.items() for name, value in head.items()},
        }

    def restore(self, arrays: Arrays) -> Self:
        self._vectors = np.asarray(arrays["item_vectors"], dtype=np.float32)
        self._asking = np.asarray(arrays["asking_vectors"], dtype=np.float32)
        self._epochs = int(arrays["epochs"][0])
        self._heads = {
            side: {name[len(side) + 1 :]: value for name, value in arrays.items() if name.startswith(f"{side}.")}
            for side in ("offered", "asking")
        }
        return self

    def _taught(self, dataset: Dataset, how: AdaptSettings, corpus: Corpus | None, progress: Progress | None) -> Self:
        from palate.language.tuning.shop import adapt

        source = taught_by(self.encoder)
        if source is None:
            raise UsageError(
                f"{self.name} teaches a transformer, and the encoder is none (lexical, or compressed). Name one as "
                "`encoder`, or leave this source out."
            )
        adapted = adapt(dataset, how.model_copy(update={"model": source}), progress, corpus=corpus)
        self._corpus, self._epochs = adapted.corpus, adapted.course.epoch
        self._heads = {"offered": adapted.vectors.without_texts(), "asking": _asking_of(adapted).without_texts()}
        self._vectors, self._asking = (head.whole(adapted.corpus) for head in (adapted.vectors, _asking_of(adapted)))
        return self

    def _read(self, texts: list[str]) -> tuple[FloatArray, FloatArray]:
        """Vectors of texts by both heads; the transformer is opened once, at the first need."""
        from palate.language.tuning.corpus import Corpus
        from palate.language.tuning.trunk import open_trunk
        from palate.language.tuning.vectors import Vectors

        if self._corpus is None:
            source = taught_by(self.encoder) or self.settings.adapt.model
            self._corpus = Corpus(open_trunk(source, self.settings.adapt.trunk), [])
        corpus = Corpus(self._corpus.trunk, texts)
        offered, asking = (Vectors.restore(self._heads[side]).whole(corpus) for side in ("offered", "asking"))
        return offered, asking


def taught_by(encoder: Any) -> str | None:
    """The transformer behind an encoder, by folder or name, for those who would teach it; None where there is none."""
    source: str | None = getattr(getattr(encoder, "encoder", encoder), "source", None)
    return source if source is not None and is_plain(source) else None


def _asking_of(adapted: Adapted) -> Vectors:
    return adapted.vectors if adapted.asking is None else adapted.asking


def _placed(known: FloatArray, items: IntArray, vectors: FloatArray) -> FloatArray:
    """A copy of known vectors (n, d) with those of some items, known or the next ones, put in."""
    new = max(0, int(items.max()) + 1 - len(known))
    placed = np.concatenate([known, np.zeros((new, known.shape[1]), np.float32)])
    placed[items] = vectors
    return placed
