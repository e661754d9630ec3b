"""Writing semantic ids code after code, each read once: what was written is remembered as keys and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from palate.core import FloatArray, Int64Array
from palate.models.neural.blocks import Block, Remembered
from palate.models.neural.trie import Beams, Trie, beam_search

if TYPE_CHECKING:
    from palate.models.neural.coded import CodedNetwork

_QUESTIONS_AT_ONCE = 128
"""Questions whose beginnings are continued at once."""


def generated(network: CodedNetwork, trie: Trie, hidden: FloatArray, width: int) -> Beams:
    """The likeliest ids after each state, float32 (n, d), written one code after the other."""
    parts = [Beams(np.zeros((0, width), np.int32), np.zeros((0, width), np.float32))]
    with torch.inference_mode():
        for start in range(0, len(hidden), _QUESTIONS_AT_ONCE):
            states = torch.from_numpy(hidden[start : start + _QUESTIONS_AT_ONCE])
            parts.append(beam_search(trie, Writing(network, states), len(states), width))
    return Beams(np.concatenate([part.items for part in parts]), np.concatenate([part.chances for part in parts]))


class Writing:
    """Beginnings of ids, and what the writer's blocks remember of them.

    Parameters
    ----------
    network
        One that writes code after code.
    states
        float32 (n, d), the state after each question's history.
    """

    def __init__(self, network: CodedNetwork, states: Tensor) -> None:
        assert network.writer is not None  # noqa: S101
        self._network, self._writer, self._states = network, network.writer, states
        self._blocks = cast(list[Block], list(network.writer.body.blocks))
        self._past: list[list[Remembered]] = [[] for _ in self._blocks]

    def __call__(self, row: Int64Array, before: Int64Array, prefix: Int64Array) -> FloatArray:
        """Logarithms of the chances of the next code, float32 (b, size); see ``palate.models.neural.trie.Continue``."""
        writer, place = self._writer, prefix.shape[1]
        came_from, position = torch.from_numpy(before), writer.positions.weight[place]
        last = torch.from_numpy(prefix[:, -1] if place else row)
        possible = (self._codes(place - 1) if place else self._states) + position
        states, given, own = possible[last], possible, last
        for number, block in enumerate(self._blocks):
            # What the first block reads of a code does not depend on what stands before it: each is read once for all.
            query, keys, values = block.read(given).view(len(given), 3, block.heads, -1).unbind(1)
            past = [part._replace(which=part.which[came_from]) for part in self._past[number]]
            self._past[number] = [*past, Remembered(keys, values, own)]
            states = given = block.continued(states, query[own], self._past[number])
            own = torch.arange(len(states))
        logits = writer.body.last(states) @ self._codes(place).T
        chances: FloatArray = torch.log_softmax(logits, dim=1).numpy()
        return chances

    def _codes(self, place: int) -> Tensor:
        size = self._network.size
        return self._network.code.weight[place * size : (place + 1) * size]
