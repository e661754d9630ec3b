"""Parts of networks over items: vectors of items, and bodies that read a sequence from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Body(Protocol):
    """Reads a batch of sequences; each state knows what came up to it and nothing after."""

    def __call__(self, inputs: Tensor) -> Tensor: ...


class Noise:
    """Random bits for dropout, ten times faster than ``torch.bernoulli`` on a processor; resolution 1/256."""

    def __init__(self) -> None:
        self._rng = np.random.Generator(np.random.SFC64(0))

    def reseed(self, seed: int) -> None:
        """Begin a sequence of draws."""
        self._rng = np.random.Generator(np.random.SFC64(seed))

    def kept(self, shape: tuple[int, ...], rate: float) -> Tensor:
        """bool, False in about ``rate`` of the cells."""
        size = int(np.prod(shape))
        drawn = np.frombuffer(self._rng.bytes(size), dtype=np.uint8) >= round(rate * 256)
        return torch.from_numpy(drawn.reshape(shape))


class Drop(nn.Module):
    """Dropout (Srivastava et al., 2014) with bits from ``Noise``."""

    def __init__(self, rate: float, noise: Noise) -> None:
        super().__init__()
        self.rate, self.noise = round(rate * 256) / 256, noise

    def forward(self, states: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return states
        return states * self.noise.kept(tuple(states.shape), self.rate).to(states.dtype).mul_(1 / (1 - self.rate))


class ItemTable(nn.Module):
    """An item's vector = a vector of its own + its projected text + the vectors of its attributes.

    Parameters
    ----------
    known
        bool (n,): items with events. Others have no vector of their own.
    width
        d, length of a vector.
    texts
        float32 (n, t), language vectors; None: items are known by their ids.
    attributes
        int64 (n, a), codes below ``n_attributes``, -1 pads; None where unused.
    own
        Whether items have vectors of their own.
    own_dropout, text_dropout
        Shares dropped in training: of vectors of their own, of the numbers of texts.
    """

    known: Tensor
    texts: Tensor | None
    attributes: Tensor | None

    def __init__(
        self,
        known: Tensor,
        width: int,
        *,
        texts: Tensor | None,
        attributes: Tensor | None,
        n_attributes: int = 0,
        own: bool = True,
        own_dropout: float = 0.0,
        text_dropout: float = 0.0,
        noise: Noise | None = None,
    ) -> None:
        super().__init__()
        self.own_dropout, self.noise = own_dropout, noise or Noise()
        self.forget = Drop(text_dropout, self.noise)
        self.register_buffer("known", known.float()[:, None], persistent=False)
        self.register_buffer("texts", texts, persistent=False)
        self.register_buffer("attributes", attributes, persistent=False)
        self.own = nn.Embedding(len(known), width) if own else None
        self.project = nn.Linear(texts.shape[1], width, bias=False) if texts is not None else None
        self.described = nn.Embedding(n_attributes + 1, width, padding_idx=0) if attributes is not None else None
        if self.own is not None:
            nn.init.normal_(self.own.weight, std=0.05)
        if self.project is not None:
            nn.init.normal_(self.project.weight, std=0.05)
        if self.described is not None:
            nn.init.normal_(self.described.weight, std=0.02)

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """Vectors of some items, or of all; float32 (m, d)."""
        vectors: Tensor | None = None
        if self.own is not None:
            vectors = self.own.weight if rows is None else self.own(rows)
            known = self.known if rows is None else self.known[rows]
            if self.training and self.own_dropout:
                known = known * self.noise.kept(tuple(known.shape), self.own_dropout)
            vectors = vectors * known
        if self.project is not None and self.texts is not None:
            said = self.project(self.forget(self.texts if rows is None else self.texts[rows]))
            vectors = said if vectors is None else vectors + said
        if self.described is not None and self.attributes is not None:
            codes = self.attributes if rows is None else self.attributes[rows]
            described = self.described(codes + 1).sum(dim=1)
            vectors = described if vectors is None else vectors + described
        if vectors is None:
            raise ValueError("an item table needs vectors of its own, texts or attributes")
        return vectors.float()


class Fading(nn.Module):
    """The mean of all vectors up to each, older ones weighing less; how much less, and its length, are learnt."""

    def __init__(self, decay: float = 0.6, length: float = 16.0) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.logit(torch.tensor([decay])))
        self.length = nn.Parameter(torch.tensor([length]))

    def forward(self, vectors: Tensor) -> Tensor:
        """(b, l, d) of (b, l, d)."""
        place = torch.arange(vectors.shape[1])
        age = place[:, None] - place[None, :]
        weights = torch.where(age < 0, 0.0, (age.clamp(min=0) * functional.logsigmoid(self.decay)).exp())
        return self.length * (weights / weights.sum(dim=1, keepdim=True)) @ vectors


class Remembered(NamedTuple):
    """Keys and values of one position, (r, heads, d / heads) each, and which of them each sequence has, int64 (b,)."""

    keys: Tensor
    values: Tensor
    which: Tensor


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, normalised before each (Xiong et al., 2020)."""

    def __init__(self, width: int, heads: int, dropout: float, noise: Noise, expansion: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.reads, self.writes = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widens, self.narrows = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.drop = Drop(dropout, noise)

    def forward(self, states: Tensor) -> Tensor:
        b, n, width = states.shape
        parts = self.read(states).view(b, n, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self._after(states, seen.transpose(1, 2).reshape(b, n, width))

    def read(self, states: Tensor) -> Tensor:
        """Queries, keys and values of states (..., d), beside each other; (..., 3 d)."""
        return self.reads(self.first(states))  # type: ignore[no-any-return]

    def continued(self, states: Tensor, query: Tensor, past: Sequence[Remembered]) -> Tensor:
        """What ``forward`` gives for the last position alone; float32 (b, d).

        Parameters
        ----------
        states
            (b, d), of the last position.
        query
            (b, heads, d / heads), what it asks.
        past
            All positions up to and including it.
        """
        # A few positions each: sums of products are faster than many small matrices.
        scores = torch.stack([(query * part.keys[part.which]).sum(dim=2) for part in past])
        share = scores.mul_(query.shape[2] ** -0.5).softmax(dim=0)[..., None]
        seen = share[0] * past[0].values[past[0].which]
        for weight, part in zip(share[1:], past[1:], strict=True):
            seen.addcmul_(weight, part.values[part.which])
        return self._after(states, seen.view(states.shape))

    def _after(self, states: Tensor, seen: Tensor) -> Tensor:
        states = states + self.drop(self.writes(seen))
        return states + self.drop(self.narrows(functional.gelu(self.widens(self.second(states)))))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Blocks one on the other, the last normalised."""

    def __init__(self, width: int, blocks: int, heads: int, dropout: float, noise: Noise) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, dropout, noise) for _ in range(blocks))
        self.last = nn.LayerNorm(width)

    def forward(self, states: Tensor) -> Tensor:
        for block in self.blocks:
            states = block(states)
        return self.last(states)  # type: ignore[no-any-return]


class Recurrent(nn.Module):
    """Gated recurrent units (Hidasi et al., 2016) or long short-term memory (Hochreiter & Schmidhuber, 1997)."""

    def __init__(self, width: int, layers: int, dropout: float, noise: Noise, cell: str = "gru") -> None:
        super().__init__()
        self.units = (nn.LSTM if cell == "lstm" else nn.GRU)(width, width, layers, batch_first=True)
        self.drop, self.last = Drop(dropout, noise), nn.LayerNorm(width)

    def forward(self, states: Tensor) -> Tensor:
        return self.last(self.drop(self.units(states)[0]))  # type: ignore[no-any-return]
