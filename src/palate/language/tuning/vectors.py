"""From a trunk's pooled state to a text's vector: directions that start whitened, and a vector a token beside them."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from palate.core import Int64Array
from palate.core.recommender import Arrays
from palate.language.text_space import TextSpace
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.settings import VectorSettings


class Vectors(nn.Module):
    """A linear map of the pooled state plus the vectors of the tokens, to length 1.

    Parameters
    ----------
    size, vocabulary
        Of the trunk.
    dimensions
        Length of a vector.
    tokens
        int64 (t,), ids of the tokens that have vectors of their own.
    dropout
        Share of state and tokens dropped in training.
    """

    rarity: Tensor
    places: Tensor

    def __init__(self, size: int, vocabulary: int, dimensions: int, tokens: Int64Array, dropout: float) -> None:
        super().__init__()
        self.dimensions, self.dropout = dimensions, dropout
        self.map = nn.Linear(size, dimensions)
        # Row 0 is for every other token, and weighs nothing.
        self.words = nn.Embedding(len(tokens) + 1, dimensions)
        places = torch.zeros(vocabulary, dtype=torch.int64)
        places[torch.from_numpy(tokens)] = torch.arange(1, len(tokens) + 1)
        self.register_buffer("places", places)
        self.register_buffer("rarity", torch.zeros(len(tokens) + 1))

    @classmethod
    def begin(cls, corpus: Corpus, settings: VectorSettings | None = None, seed: int = 0) -> Self:
        """One that starts as the frozen, whitened encoder of these texts."""
        settings = settings or VectorSettings()
        trunk, rows = corpus.trunk, np.nonzero(corpus.says)[0]
        held = np.bincount(np.concatenate([np.unique(corpus.tokens[row]) for row in rows]), minlength=trunk.vocabulary)
        tokens = np.nonzero(held)[0] if settings.words else np.empty(0, np.int64)
        dimensions = settings.dimensions
        head = cls(trunk.size, trunk.vocabulary, dimensions, tokens, settings.dropout)
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
            head.rarity[1:] = torch.from_numpy(np.log((1 + len(rows)) / held[tokens]).astype(np.float32))
            generator = torch.Generator().manual_seed(seed)
            head.words.weight.normal_(0.0, 0.1 * dimensions**-0.5, generator=generator)
        trunk.train(training)
        return head

    def forward(self, states: Tensor, tokens: Tensor, starts: Tensor) -> Tensor:
        """Unit vectors float32 (n, dimensions) of pooled states (n, h), and of tokens as ``Corpus.bags`` gives them."""
        mapped: Tensor = self.map(functional.dropout(states, self.dropout, self.training))
        if len(self.rarity) > 1 and len(tokens):
            places = self.places[tokens]
            weights = self.rarity[places]
            lengths = torch.diff(starts, append=torch.tensor([len(tokens)]))
            rows = torch.repeat_interleave(torch.arange(len(starts)), lengths)
            squares = torch.zeros(len(starts)).index_add_(0, rows, weights * weights)
            weights = weights / squares.sqrt().clamp_min(1e-6)[rows]
            weights = functional.dropout(weights, self.dropout, self.training)
            mapped = mapped + functional.embedding_bag(
                places, self.words.weight, starts, mode="sum", per_sample_weights=weights
            )
        return functional.normalize(mapped, dim=1)

    def of(self, corpus: Corpus, rows: Int64Array) -> Tensor:
        """Unit vectors of these texts; zeros for those that say nothing."""
        says = torch.from_numpy(corpus.says[rows].astype(np.float32))
        vectors: Tensor = self(corpus.states(rows), *corpus.bags(rows))
        return vectors * says[:, None]

    def finish(self, states: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """The same of a padded batch: pooled states (n, h), token ids and mask (n, w)."""
        lengths = mask.sum(dim=1)
        vectors: Tensor = self(states, ids[mask.bool()], lengths.cumsum(0) - lengths)
        return vectors

    def arrays(self) -> Arrays:
        """The state."""
        tokens = torch.argsort(self.places)[len(self.places) - len(self.rarity) + 1 :]
        kept = {
            "map": self.map.weight,
            "bias": self.map.bias,
            "words": self.words.weight,
            "rarity": self.rarity,
            "tokens": tokens,
            "vocabulary": torch.tensor([len(self.places)]),
        }
        return {name: value.detach().numpy() for name, value in kept.items()}

    @classmethod
    def restore(cls, arrays: Arrays) -> Self:
        """The one whose state this is."""
        dimensions, size = arrays["map"].shape
        head = cls(size, int(arrays["vocabulary"][0]), dimensions, np.array(arrays["tokens"]), 0.0)
        with torch.no_grad():
            head.map.weight.copy_(torch.from_numpy(np.array(arrays["map"])))
            head.map.bias.copy_(torch.from_numpy(np.array(arrays["bias"])))
            head.words.weight.copy_(torch.from_numpy(np.array(arrays["words"])))
            head.rarity.copy_(torch.from_numpy(np.array(arrays["rarity"])))
        return head.eval()
