"""From a trunk's pooled state to a text's vector: directions that start whitened, and beside them a vector for each
token and for each text that is known by heart."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from palate.core import FloatArray, Int64Array
from palate.core.recommender import Arrays
from palate.language.text_space import TextSpace
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.settings import VectorSettings


class Vectors(nn.Module):
    """A linear map of the pooled state plus the vectors of the tokens and of the text itself, to length 1.

    Parameters
    ----------
    size, vocabulary
        Of the trunk.
    dimensions
        Length of a vector.
    tokens
        int64 (t,), ids of the tokens that have vectors of their own.
    texts
        int64 (k,), ascending ``fingerprints`` of the texts that have vectors of their own; None: none has.
    dropout
        Share of state, tokens and texts dropped in training.
    kept
        Share of a likeness that is left to the map as it began; in training all of it is the taught one's.
    """

    begun: Tensor
    begun_bias: Tensor
    rarity: Tensor
    places: Tensor
    texts: Tensor

    def __init__(
        self,
        size: int,
        vocabulary: int,
        dimensions: int,
        tokens: Int64Array,
        texts: Int64Array | None = None,
        *,
        dropout: float = 0.0,
        kept: float = 0.0,
    ) -> None:
        super().__init__()
        texts = np.empty(0, np.int64) if texts is None else texts
        self.dimensions, self.dropout, self.kept = dimensions, dropout, kept
        self.map = nn.Linear(size, dimensions)
        if kept:
            self.register_buffer("begun", torch.zeros(dimensions, size))
            self.register_buffer("begun_bias", torch.zeros(dimensions))
        # Row 0 is for every other token and text, and weighs nothing; the texts stand behind the tokens.
        self.words = nn.Embedding(len(tokens) + len(texts) + 1, dimensions)
        places = torch.zeros(vocabulary, dtype=torch.int64)
        places[torch.from_numpy(tokens)] = torch.arange(1, len(tokens) + 1)
        self.register_buffer("places", places)
        self.register_buffer("rarity", torch.zeros(len(tokens) + len(texts) + 1))
        self.register_buffer("texts", torch.from_numpy(texts))

    @classmethod
    def begin(cls, corpus: Corpus, settings: VectorSettings | None = None, seed: int = 0) -> Self:
        """One that starts as the frozen, whitened encoder of these texts."""
        settings = settings or VectorSettings()
        trunk, rows = corpus.trunk, np.nonzero(corpus.says)[0]
        held = np.bincount(np.concatenate([np.unique(corpus.tokens[row]) for row in rows]), minlength=trunk.vocabulary)
        tokens = np.nonzero(held)[0] if settings.words else np.empty(0, np.int64)
        dimensions = settings.dimensions
        texts = np.unique(fingerprints(*corpus.bags(rows)).numpy()) if settings.texts else None
        head = cls(
            trunk.size, trunk.vocabulary, dimensions, tokens, texts, dropout=settings.dropout, kept=settings.kept
        )
        training = trunk.training
        trunk.eval()
        with torch.no_grad():
            states = corpus.states(rows)
            space = TextSpace.of(states.numpy(), dimensions, settings.whitening)
            weight = torch.zeros_like(head.map.weight)
            weight[: space.dimensions] = torch.from_numpy(np.ascontiguousarray(space.projection.T))
            # Lengths near 1 at the start: the vectors of tokens, which start small, are small beside them.
            weight /= (
                functional.linear(states - torch.from_numpy(space.mean), weight).norm(dim=1).mean().clamp_min(1e-6)
            )
            head.map.weight.copy_(weight)
            head.map.bias.copy_(-weight @ torch.from_numpy(space.mean))
            if head.kept:
                head.begun.copy_(head.map.weight)
                head.begun_bias.copy_(head.map.bias)
            counts = np.concatenate([held[tokens], np.ones(len(head.texts))])
            head.rarity[1:] = torch.from_numpy(np.log((1 + len(rows)) / counts).astype(np.float32))
            generator = torch.Generator().manual_seed(seed)
            head.words.weight.normal_(0.0, 0.1 * dimensions**-0.5, generator=generator)
        trunk.train(training)
        return head

    @property
    def width(self) -> int:
        """Length of a vector as it is used: what was kept stands before what was taught."""
        return 2 * self.dimensions if self.kept else self.dimensions

    def forward(self, states: Tensor, tokens: Tensor, starts: Tensor) -> Tensor:
        """Unit vectors of pooled states (n, h), and of tokens as ``Corpus.bags`` gives them.

        Returns
        -------
        float32 (n, width); in training (n, dimensions), what is taught alone.
        """
        mapped: Tensor = self.map(functional.dropout(states, self.dropout, self.training))
        if len(self.rarity) > 1 and len(tokens):
            rows = rows_of(tokens, starts)
            places = self.places[tokens]
            if len(self.texts):
                # The text itself is one token more, the last of each.
                rows, order = torch.cat([rows, torch.arange(len(starts))]).sort(stable=True)
                places = torch.cat([places, self._known(tokens, starts)])[order]
                starts = starts + torch.arange(len(starts))
            weights = self.rarity[places]
            squares = torch.zeros(len(starts)).index_add_(0, rows, weights * weights)
            weights = weights / squares.sqrt().clamp_min(1e-6)[rows]
            weights = functional.dropout(weights, self.dropout, self.training)
            mapped = mapped + functional.embedding_bag(
                places, self.words.weight, starts, mode="sum", per_sample_weights=weights
            )
        taught = functional.normalize(mapped, dim=1)
        if self.training or not self.kept:
            return taught
        begun = functional.normalize(functional.linear(states, self.begun, self.begun_bias), dim=1)
        return torch.cat([self.kept**0.5 * begun, (1 - self.kept) ** 0.5 * taught], dim=1)

    def of(self, corpus: Corpus, rows: Int64Array, states: Tensor | None = None) -> Tensor:
        """Unit vectors of these texts, of whose states if they are known; zeros for those that say nothing."""
        says = torch.from_numpy((corpus.offsets[rows + 1] > corpus.offsets[rows]).astype(np.float32))
        vectors: Tensor = self(corpus.states(rows) if states is None else states, *corpus.bags(rows))
        return vectors * says[:, None]

    def whole(self, corpus: Corpus) -> FloatArray:
        """Unit vectors of all texts of a corpus; float32 (n, width), zeros for those that say nothing."""
        with torch.no_grad():
            vectors = self.eval().of(corpus, np.arange(len(corpus)))
        return np.asarray(vectors.numpy(), dtype=np.float32)

    def finish(self, states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """The same of a padded batch: pooled states (n, h), token ids and mask (n, w)."""
        lengths = mask.sum(dim=1)
        vectors: Tensor = self(states, ids[mask.bool()], lengths.cumsum(0) - lengths)
        return vectors

    def _known(self, tokens: Tensor, starts: Tensor) -> Tensor:
        """Rows of the texts' own vectors, int64 (n,); 0 for those that are not known."""
        prints = fingerprints(tokens, starts)
        found = torch.searchsorted(self.texts, prints).clamp_max(len(self.texts) - 1)
        first = len(self.rarity) - len(self.texts)
        return torch.where(self.texts[found] == prints, first + found, 0)

    def arrays(self) -> Arrays:
        """The state."""
        tokens = torch.argsort(self.places)[len(self.places) - len(self.rarity) + len(self.texts) + 1 :]
        found = {
            "map": self.map.weight,
            "bias": self.map.bias,
            "words": self.words.weight,
            "rarity": self.rarity,
            "tokens": tokens,
            "texts": self.texts,
            "vocabulary": torch.tensor([len(self.places)]),
        }
        if self.kept:
            found |= {"begun": self.begun, "begun_bias": self.begun_bias, "kept": torch.tensor([self.kept])}
        return {name: value.detach().numpy() for name, value in found.items()}

    def without_texts(self) -> Arrays:
        """The state less the vectors of whole texts: enough for texts that are new, which have none."""
        state, kept = dict(self.arrays()), len(self.rarity) - len(self.texts)
        return {**state, "words": state["words"][:kept], "rarity": state["rarity"][:kept], "texts": state["texts"][:0]}

    @classmethod
    def restore(cls, arrays: Arrays) -> Self:
        """The one whose state this is."""
        dimensions, size = arrays["map"].shape
        tokens, texts = (np.array(arrays.get(name, ()), np.int64) for name in ("tokens", "texts"))
        head = cls(
            size,
            int(arrays["vocabulary"][0]),
            dimensions,
            tokens,
            texts,
            kept=float(np.array(arrays.get("kept", (0.0,)))[0]),
        )
        with torch.no_grad():
            if head.kept:
                head.begun.copy_(torch.from_numpy(np.array(arrays["begun"])))
                head.begun_bias.copy_(torch.from_numpy(np.array(arrays["begun_bias"])))
            head.map.weight.copy_(torch.from_numpy(np.array(arrays["map"])))
            head.map.bias.copy_(torch.from_numpy(np.array(arrays["bias"])))
            head.words.weight.copy_(torch.from_numpy(np.array(arrays["words"])))
            head.rarity.copy_(torch.from_numpy(np.array(arrays["rarity"])))
        return head.eval()


def rows_of(tokens: Tensor, starts: Tensor) -> Tensor:
    """Which text each token belongs to, int64 (t,)."""
    lengths = torch.diff(starts, append=torch.tensor([len(tokens)]))
    return torch.repeat_interleave(torch.arange(len(starts)), lengths)


def fingerprints(tokens: Tensor, starts: Tensor) -> Tensor:
    """A number for each text by its tokens in their order, int64 (n,): two texts share one by chance of 2^-64."""
    rows = rows_of(tokens, starts)
    mixed = _mixed((torch.arange(len(tokens)) - starts[rows]) * 0x1_0000_0000 + tokens + 1)
    return torch.zeros(len(starts), dtype=torch.int64).index_add_(0, rows, mixed)


def _mixed(numbers: Tensor) -> Tensor:
    """Well mixed bits (SplitMix64, Steele et al., 2014); products go round at 2^64."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        numbers = (numbers ^ (numbers >> shift)) * factor
    return numbers ^ (numbers >> 31)
