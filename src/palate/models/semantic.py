"""Language vectors: what reads like what somebody took, or like what they ask for in words.

Needs no event about an item, so new items are recommendable at once.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from palate.core import Abilities, FloatArray, IntArray, Queries, Rankings, Settings
from palate.core.recommender import Arrays
from palate.core.space import Space, Span
from palate.data import Catalogue, Dataset
from palate.language import TextEncoder, unit_rows
from palate.language.detect import detect_language
from palate.language.encoder import asking_side, is_shaped
from palate.language.text_space import TextSpace
from palate.language.verbalise import item_texts
from palate.models.factors import mean_vectors, shares
from palate.models.fitted import TextReader, need
from palate.models.item_blocks import ItemBlocks, part_of
from palate.models.linear import recommend_in_batches


class SemanticSettings(Settings):
    """Hyper-parameters of the semantic model.

    The first three do not touch the vectors of an encoder that was taught on a catalogue (``is_shaped``).

    Parameters
    ----------
    dimensions
        Leading directions kept; all where the encoder has fewer.
    whitening
        0 = directions as they are, 1 = all of the same spread (less in small catalogues, see ``TextSpace``). On Beauty
        validation, MiniLM, N@10: raw .027, centred .033, half .040, whole .043; with 128 directions half gives .034.
    remove
        Leading directions dropped: they tell what kind of catalogue it is, not which item.
    decay
        What an event of the history asked about is worth relative to the next one.
    text_weight
        What a wish in words is worth relative to the whole history.
    block_dimensions, block_weight
        Leading directions kept of each block of item vectors from elsewhere (images, sound), and what its cosine counts
        relative to the texts'.
    """

    dimensions: int = Field(default=256, ge=1)
    whitening: float = Field(default=1.0, ge=0, le=1)
    remove: int = Field(default=0, ge=0)
    decay: float = Field(default=0.6, gt=0, le=1)
    text_weight: float = Field(default=2.0, ge=0)
    block_dimensions: int = Field(default=128, ge=1)
    block_weight: float = Field(default=1.0, ge=0)

    @classmethod
    def search(cls) -> Space:
        """Where a tuner looks."""
        return Space(
            {
                "dimensions": Span(32, 384, log=True),
                "whitening": Span(0.0, 1.0),
                "remove": Span(0, 8),
                "decay": Span(0.3, 1.0),
            },
            first=(
                {"decay": 0.8},
                {"whitening": 0.5},
                {"whitening": 0.0},
                {"remove": 2},
                {"dimensions": 384},
                {"dimensions": 128},
            ),
        )


class Semantic(TextReader):
    """An item's score is the cosine of its vector with the mean of the history's vectors and of the wish.

    Where the encoder has two sides (see ``asking_side``), the history is read by the asking one. A wish is read as an
    item is: it says what is wanted, not what was had.

    Parameters
    ----------
    settings
        The defaults where None.
    encoder
        What turns texts into vectors. It is no part of the saved state: give the same one to the restored model.
    """

    name: ClassVar[str] = "semantic"
    abilities: ClassVar[Abilities] = Abilities(unseen_items=True, uses_text=True)

    def __init__(self, settings: SemanticSettings | None, encoder: TextEncoder) -> None:
        self.settings = settings or SemanticSettings()
        self.encoder = encoder
        self._vectors: FloatArray | None = None
        self._asking: FloatArray | None = None
        self._space: TextSpace | None = None
        self._blocks = ItemBlocks()

    @property
    def n_items(self) -> int:
        return len(self.item_vectors)

    @property
    def item_vectors(self) -> FloatArray:
        """float32 (n_items, dimensions of texts and blocks), rows of length 1; zeros for items without either."""
        return need(self._vectors, self.name)

    @property
    def asking_vectors(self) -> FloatArray:
        """The same of the items as something had; ``item_vectors`` where the encoder has one side."""
        return self.item_vectors if self._asking is None else self._asking

    @property
    def space(self) -> TextSpace:
        """The catalogue's directions."""
        return need(self._space, self.name)

    def fit(self, dataset: Dataset) -> Self:
        """Encode the catalogue and find its directions."""
        texts = item_texts(dataset.catalogue)
        raw = self.encoder.encode(texts)
        settings = self.settings
        if is_shaped(self.encoder):
            self._space = TextSpace.plain(raw.shape[1])
        else:
            self._space = TextSpace.of(raw, settings.dimensions, settings.whitening, settings.remove)
        self._blocks = ItemBlocks.of(dataset.catalogue, settings.block_dimensions, settings.whitening)
        self._vectors = self._joined(self._space.project(raw), dataset.catalogue)
        asking = asking_side(self.encoder)
        self._asking = None
        if asking is not self.encoder:
            self._asking = self._joined(self._space.project(asking.encode(texts)), dataset.catalogue)
        return self

    def reread(self, catalogue: Catalogue, items: IntArray) -> Self:
        """Encode the texts of some items, new or changed, again; the directions stay."""
        if len(items):
            part = part_of(catalogue, items)
            if self._asking is not None:
                self._asking = self._reread(self._asking, asking_side(self.encoder), items, part)
            self._vectors = self._reread(self.item_vectors, self.encoder, items, part)
        return self

    def reads(self, text: str) -> bool:
        """Whether the encoder understands the language of a text."""
        languages = self.encoder.languages
        return "*" in languages or detect_language(text) in languages

    def score(self, queries: Queries) -> FloatArray:
        """Cosine of each item with history and wish; float32 (n, n_items), 0 for items without text or vectors."""
        wanted = self.user_vectors(queries)
        return np.asarray(wanted @ self.item_vectors.T, dtype=np.float32)

    def user_vectors(self, queries: Queries) -> FloatArray:
        """What is wanted, as unit vectors; float32 (n, dimensions), zeros where nothing is known."""
        return unit_rows(self._wanted(queries))

    def recommend(self, queries: Queries) -> Rankings:
        return recommend_in_batches(self, queries)

    def contributions(self, queries: Queries, items: IntArray) -> FloatArray:
        """What each event adds to each item's score; float32 (h, k). The rest of the score is the wish's."""
        length = max(float(np.linalg.norm(self._wanted(queries))), 1e-12)
        had, decay = self.asking_vectors, self.settings.decay
        return shares(had, queries.history, decay, items, self.item_vectors) / np.float32(length)

    def arrays(self) -> Arrays:
        asking = {} if self._asking is None else {"asking_vectors": self._asking}
        return {"item_vectors": self.item_vectors, **asking, **self.space.arrays(), **self._blocks.arrays()}

    def restore(self, arrays: Arrays) -> Self:
        self._vectors = np.asarray(arrays["item_vectors"], dtype=np.float32)
        self._asking = np.asarray(arrays["asking_vectors"], np.float32) if "asking_vectors" in arrays else None
        self._space = TextSpace.from_arrays(arrays)
        self._blocks = ItemBlocks.from_arrays(arrays)
        return self

    def _joined(self, texts: FloatArray, catalogue: Catalogue) -> FloatArray:
        """Vectors of texts, and beside them those of the blocks."""
        if not self._blocks.dimensions:
            return texts
        weight = np.float32(np.sqrt(self.settings.block_weight))
        return unit_rows(np.concatenate([texts, weight * self._blocks.project(catalogue)], axis=1))

    def _reread(self, known: FloatArray, side: TextEncoder, items: IntArray, part: Catalogue) -> FloatArray:
        """A copy of these vectors with those of some items, new or changed, made of what their part of the catalogue
        says."""
        new = max(0, int(items.max()) + 1 - len(known))
        vectors = np.concatenate([known, np.zeros((new, known.shape[1]), np.float32)])
        vectors[items] = self._joined(self.space.project(side.encode(item_texts(part))), part)
        return vectors

    def _wanted(self, queries: Queries) -> FloatArray:
        wanted = mean_vectors(self.asking_vectors, queries.history, self.settings.decay)
        if queries.text is not None and any(queries.text):
            # Of a text it cannot read, an encoder knows only that it is strange; that likeness would mislead.
            readable = [text if self.reads(text) else "" for text in queries.text]
            wishes = self.space.project(self.encoder.encode(readable))
            wishes = np.pad(wishes, ((0, 0), (0, self._blocks.dimensions)))
            wanted = wanted + np.float32(self.settings.text_weight) * wishes
        return wanted
