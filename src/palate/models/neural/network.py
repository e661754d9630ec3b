"""The network of the sequential models: what it is made of, how it reads histories, how it is saved."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from palate.core import Float64Array, FloatArray, Histories, Int64Array
from palate.core.recommender import Arrays
from palate.language.transformer import has_native_bf16
from palate.models.neural.blocks import Drop, Fading, ItemTable, Noise, Recurrent, Transformer
from palate.models.neural.packing import N_GAPS, batches, gap_buckets, newest, pad
from palate.models.neural.settings import ReaderSettings

_READ_AT_ONCE = 32_768
"""Padded events read at once when answering."""


@dataclass(frozen=True)
class Shape:
    """What a network is made of.

    Parameters
    ----------
    body
        ``transformer``, ``gru`` or ``lstm``.
    width, blocks, heads, window
        Length of a vector, layers, parts of attention, longest sequence.
    dropout, event_dropout, own_dropout
        Shares dropped in training: of states, of events, of items' own vectors.
    text_dropout
        Share dropped in training of the numbers of texts.
    own, time, likeness
        Whether items have vectors of their own, whether time between events is read, and whether states start as the
        faded mean of what was taken.
    seed
        Of the starting weights.
    """

    body: str
    width: int
    blocks: int
    heads: int
    window: int
    dropout: float
    event_dropout: float
    own_dropout: float
    own: bool
    time: bool
    seed: int
    text_dropout: float = 0.0
    likeness: bool = False

    @classmethod
    def of(cls, settings: ReaderSettings, body: str) -> Shape:
        """What settings ask for in which nothing is left to the data, with a body by name."""
        given = {field.name: getattr(settings, field.name) for field in fields(cls) if field.name != "body"}
        return cls(**given, body=body)


class SequenceNetwork(nn.Module):
    """Vectors of items in, states out: one after each event, in the same space as items' vectors.

    Parameters
    ----------
    table
        Vectors of items.
    body
        Reads states from left to right.
    window
        Longest sequence.
    width
        Length of a vector.
    """

    def __init__(
        self,
        table: ItemTable,
        body: nn.Module,
        noise: Noise,
        *,
        window: int,
        width: int,
        dropout: float,
        event_dropout: float,
        time: bool,
        likeness: bool = False,
    ) -> None:
        super().__init__()
        self.table, self.body, self.noise, self.window = table, body, noise, window
        self.positions = nn.Embedding(window, width)
        self.gaps = nn.Embedding(N_GAPS, width, padding_idx=0) if time else None
        self.enter, self.drop, self.event_dropout = nn.LayerNorm(width), Drop(dropout, noise), event_dropout
        self.fading = Fading() if likeness else None
        nn.init.normal_(self.positions.weight, std=0.02)
        if self.gaps is not None:
            nn.init.normal_(self.gaps.weight, std=0.02)
            with torch.no_grad():
                self.gaps.weight[0] = 0

    def forward(self, vectors: Tensor, gaps: Tensor) -> Tensor:
        """States (b, l, d) of events' item vectors (b, l, d) and of the buckets of time after each event (b, l)."""
        b, n, _ = vectors.shape
        if self.training and self.event_dropout:
            vectors = vectors * self.noise.kept((b, n, 1), self.event_dropout)
        states = vectors + self.positions.weight[:n]
        if self.gaps is not None:
            states = states + self.gaps(gaps)
        foreseen: Tensor = self.body(self.drop(self.enter(states)))
        return foreseen if self.fading is None else foreseen + self.fading(vectors)


def build(
    shape: Shape,
    known: np.ndarray[Any, np.dtype[np.bool_]],
    texts: FloatArray | None,
    attributes: Int64Array | None,
    n_attributes: int,
) -> SequenceNetwork:
    """A network with drawn weights.

    Parameters
    ----------
    known
        bool (n_items,), items with events.
    texts
        float32 (n_items, t) or None.
    attributes
        int64 (n_items, a), codes below ``n_attributes``, -1 pads; or None.
    """
    noise = Noise()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(shape.seed)
        table = ItemTable(
            torch.from_numpy(known),
            shape.width,
            texts=None if texts is None else torch.from_numpy(texts),
            attributes=None if attributes is None else torch.from_numpy(attributes),
            n_attributes=n_attributes,
            own=shape.own,
            own_dropout=shape.own_dropout,
            text_dropout=shape.text_dropout,
            noise=noise,
        )
        body = (
            Recurrent(shape.width, shape.blocks, shape.dropout, noise, shape.body)
            if shape.body in ("gru", "lstm")
            else Transformer(shape.width, shape.blocks, shape.heads, shape.dropout, noise)
        )
        return SequenceNetwork(
            table,
            body,
            noise,
            window=shape.window,
            width=shape.width,
            dropout=shape.dropout,
            event_dropout=shape.event_dropout,
            time=shape.time,
            likeness=shape.likeness,
        )


def autocast() -> Any:
    """bf16 where the processor multiplies it natively."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_native_bf16())


def read(network: SequenceNetwork, vectors: FloatArray, histories: Histories, when: Float64Array | None) -> FloatArray:
    """The state after each history's newest event; float32 (n, d), zeros where nothing happened.

    Parameters
    ----------
    vectors
        float32 (n_items, d).
    """
    pieces = newest(histories, network.window)
    answer = np.zeros((len(histories), vectors.shape[1]), dtype=np.float32)
    moments = np.full(len(histories), np.nan) if when is None else when
    some = np.nonzero(pieces.lengths > 0)[0]
    # fp32: one question must get the numbers it gets in a batch, and rounding of bf16 depends on the batch.
    with torch.inference_mode():
        for chosen in batches(pieces.lengths[some], _READ_AT_ONCE, None):
            rows = some[chosen]
            batch = pad(pieces, rows)
            last = batch.lengths - 1
            gaps = np.zeros(batch.gaps.shape, dtype=np.int64)
            gaps[:, :-1] = batch.gaps[:, 1:]
            here = np.arange(len(rows))
            gaps[here, last] = gap_buckets(moments[rows] - batch.times[here, last])
            inputs = torch.from_numpy(vectors[batch.items])
            given = network(inputs, torch.from_numpy(gaps))
            answer[rows] = given[torch.from_numpy(here), torch.from_numpy(last)].float().numpy()
    return answer


def vectors_of(network: SequenceNetwork) -> tuple[FloatArray, FloatArray]:
    """Vectors of all items, and the part of them that text and attributes say; float32 (n, d) each."""
    table = network.table
    with torch.inference_mode():
        whole = table().numpy()
        own = None if table.own is None else (table.own.weight * table.known).numpy()
    return whole, whole if own is None else whole - own


def described(network: SequenceNetwork, texts: FloatArray | None, attributes: Int64Array | None, n: int) -> FloatArray:
    """What text and attributes say of n items; float32 (n, d)."""
    table = network.table
    said = torch.zeros(n, network.positions.weight.shape[1])
    with torch.inference_mode():
        if table.project is not None and texts is not None:
            said += table.project(torch.from_numpy(texts))
        if table.described is not None and attributes is not None:
            said += table.described(torch.from_numpy(attributes) + 1).sum(dim=1)
    return np.asarray(said.numpy(), dtype=np.float32)


def saved(network: SequenceNetwork) -> Arrays:
    """Weights that answers need: all but items' own vectors, which are part of their whole ones."""
    state = {name: value.numpy() for name, value in network.state_dict().items() if name != "table.own.weight"}
    return {f"network.{name}": value for name, value in state.items()}


def restored(arrays: Arrays, shape: Shape) -> SequenceNetwork:
    """A network for answering, from what ``saved`` gave."""
    state = {
        name.removeprefix("network."): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith("network.")
    }
    project, attributes = state.get("table.project.weight"), state.get("table.described.weight")
    nothing = np.zeros((1, 1 if project is None else project.shape[1]), np.float32)
    codes = None if attributes is None else np.full((1, 1), -1, np.int64)
    network = build(
        replace(shape, own=False),
        np.zeros(1, dtype=np.bool_),
        nothing,
        codes,
        0 if attributes is None else len(attributes) - 1,
    )
    if project is None:
        network.table.project = None
    network.load_state_dict(state, strict=False)
    network.eval()
    return network
