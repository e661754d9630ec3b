"""A network that reads histories and writes semantic ids: all codes at once, or one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from palate.core import FloatArray, Histories, Int64Array, IntArray
from palate.core.recommender import Arrays
from palate.language.semantic_ids import SemanticIds
from palate.language.transformer import has_native_bf16
from palate.models.neural.blocks import Transformer
from palate.models.neural.course import Course
from palate.models.neural.losses import code_softmax, full_softmax
from palate.models.neural.network import SequenceNetwork, autocast, read
from palate.models.neural.next_item import Step, ndcg, taught
from palate.models.neural.packing import Padded
from palate.models.neural.trie import Beams, Trie
from palate.models.neural.writing import generated
from palate.training.loop import Trained

_WRITTEN_AT_MOST = 1_000
"""Validation questions of a network that writes code after code."""


class Writer(nn.Module):
    """Writes codes one after the other: a causal transformer over the state and the codes written so far."""

    def __init__(
        self, reader: SequenceNetwork, places: int, *, width: int, blocks: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.body = Transformer(width, blocks, heads, dropout, reader.noise)
        self.positions = nn.Embedding(places, width)
        nn.init.normal_(self.positions.weight, std=0.02)

    def forward(self, states: Tensor, codes: Tensor) -> Tensor:
        """From states (p, d) and vectors of codes before, (p, l, d), what codes are foreseen from, (p, l + 1, d)."""
        whole = torch.cat([states[:, None], codes], dim=1)
        return self.body(whole + self.positions.weight[: whole.shape[1]])  # type: ignore[no-any-return]


class CodedNetwork(nn.Module):
    """Items in, codes out.

    Parameters
    ----------
    reader
        Reads histories.
    codes
        int32 (n_items, m).
    size
        Different codes at a place.
    writer
        Writes codes in order; None: all at once.
    """

    flat: Tensor

    def __init__(self, reader: SequenceNetwork, codes: IntArray, size: int, writer: Writer | None) -> None:
        super().__init__()
        self.reader, self.writer, self.size = reader, writer, size
        self.places, self.codes = codes.shape[1], codes
        # Code c of place p is row p * size + c of one table.
        self.register_buffer("flat", torch.from_numpy(flattened(codes, size)), persistent=False)
        self.code = nn.Embedding(self.places * size, reader.positions.weight.shape[1])
        nn.init.normal_(self.code.weight, std=0.1 / self.places**0.5)

    def sums(self, rows: Tensor | None = None) -> Tensor:
        """Sum of the vectors of each item's codes; float32 (n, d)."""
        flat = self.flat if rows is None else self.flat[rows]
        given: Tensor = functional.embedding_bag(flat, self.code.weight, mode="sum")
        return given

    def inputs(self) -> Tensor:
        """What is read of each item: its own vector, what is said of it, and its codes; float32 (n_items, d)."""
        table: Tensor = self.reader.table()
        return table + self.sums()

    def loss(
        self, hidden: Tensor, inputs: Tensor, targets: Tensor, weights: Tensor, *, existing: float, dense: float
    ) -> Tensor:
        """How badly the targets were foreseen.

        Parameters
        ----------
        hidden
            float32 (p, d), states.
        inputs
            float32 (n_items, d), as ``inputs`` gave.
        targets, weights
            int64 (p,) items and float32 (p,).
        existing
            Share of the loss of ids among those that exist, against that of codes place by place; codes at once only.
        dense
            Weight of the loss of vectors, for ranking what was generated.
        """
        half = has_native_bf16()
        if self.writer is not None:
            total = self._written(self.writer, hidden, self.flat[targets], weights)
        else:
            total = torch.zeros(())
            if existing:
                total = total + existing * full_softmax(hidden, self.sums(), targets, weights, half)
            if existing < 1:
                codes = self.flat[targets] - torch.arange(self.places) * self.size
                each = code_softmax(hidden, self.code.weight, codes, weights, half) / self.places
                total = total + (1 - existing) * each
        if dense:
            total = total + dense * full_softmax(hidden, inputs, targets, weights, half)
        return total

    def _written(self, writer: Writer, hidden: Tensor, flat: Tensor, weights: Tensor) -> Tensor:
        states = writer(hidden, self.code(flat[:, :-1]))
        outputs = self.code.weight.view(self.places, self.size, -1)
        logits = torch.einsum("pld,lcd->plc", states, outputs.to(states.dtype)).float()
        wanted = flat - torch.arange(self.places) * self.size
        each = functional.cross_entropy(logits.reshape(-1, self.size), wanted.reshape(-1), reduction="none")
        return (each.view(wanted.shape).sum(dim=1) * weights).sum() / weights.sum().clamp_min(1e-12)


def coded(
    reader: SequenceNetwork, ids: SemanticIds, writer_blocks: int, *, heads: int, dropout: float, seed: int
) -> CodedNetwork:
    """A network with drawn weights around a reader; one that writes code after code where it has blocks for that."""
    width = reader.positions.weight.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        writer = None
        if writer_blocks:
            writer = Writer(reader, ids.places, width=width, blocks=writer_blocks, heads=heads, dropout=dropout)
        return CodedNetwork(reader, ids.codes, ids.size, writer)


def learn(network: CodedNetwork, course: Course, *, existing: float, dense: float, beam: int) -> Trained:
    """Teach a network to write the id of the next item.

    Parameters
    ----------
    existing, dense
        As ``CodedNetwork.loss`` takes them.
    beam
        Beginnings kept while writing validation answers.
    """
    reader = network.reader

    def loss(given: tuple[Padded, Int64Array], _generator: torch.Generator) -> Tensor:
        step = Step.of(*given)
        with autocast():
            inputs = network.inputs()
            hidden = step.states(reader, functional.embedding(step.items[:, :-1], inputs))
            return network.loss(hidden, inputs, step.targets, step.weights, existing=existing, dense=dense)

    def quality(histories: Histories, answers: Int64Array) -> float:
        if network.writer is not None:
            histories, answers = histories.take(slice(0, _WRITTEN_AT_MOST)), answers[:_WRITTEN_AT_MOST]
        hidden = read(reader, network.inputs().numpy(), histories, None)
        if network.writer is None:
            states, sums = torch.from_numpy(hidden), network.sums()
            return ndcg(lambda rows: states[rows] @ sums.T, histories, answers, course.mask_seen)
        trie = Trie.of(network.codes)
        return ndcg(
            lambda rows: _reached(generated(network, trie, hidden[rows], beam), len(network.flat)),
            histories,
            answers,
            course.mask_seen,
        )

    return taught(network, reader.window, course, loss, quality)


def _reached(beams: Beams, n_items: int) -> Tensor:
    """Scores of all items, those that were not reached by chance, so that none of them has a rank for nothing."""
    scores = -1e9 - np.arange(n_items, dtype=np.float64)[None, :].repeat(len(beams.items), axis=0)
    found = beams.items >= 0
    scores[np.nonzero(found)[0], beams.items[found]] = beams.chances[found]
    return torch.from_numpy(scores)


def code_sums(network: CodedNetwork, codes: IntArray) -> FloatArray:
    """Sum of the vectors of the codes of items, int32 (n, m); float32 (n, d)."""
    with torch.inference_mode():
        flat = torch.from_numpy(flattened(codes, network.size))
        sums: FloatArray = functional.embedding_bag(flat, network.code.weight, mode="sum").numpy()
        return sums


def flattened(codes: IntArray, size: int) -> Int64Array:
    """Codes as rows of one table of all places' codes; int64 (n, m)."""
    return codes.astype(np.int64) + np.arange(codes.shape[1]) * size


def saved(network: CodedNetwork) -> Arrays:
    """Weights that answers need: all but items' own vectors."""
    state = {n: value.numpy() for n, value in network.state_dict().items() if n != "reader.table.own.weight"}
    return {f"coded.{name}": value for name, value in state.items()}


def reader_arrays(arrays: Arrays) -> Arrays:
    """The reader's part of what ``saved`` gave, named as a network alone names it."""
    return {
        "network." + name.removeprefix("coded.reader."): value
        for name, value in arrays.items()
        if name.startswith("coded.reader.")
    }


def restored(network: CodedNetwork, arrays: Arrays) -> CodedNetwork:
    """Weights that ``saved`` gave, in place."""
    state: dict[str, Any] = {
        name.removeprefix("coded."): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith("coded.")
    }
    network.load_state_dict(state, strict=False)
    network.eval()
    return network
