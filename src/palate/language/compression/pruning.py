"""Fewer weights: whole heads and neurons taken out, or the smallest numbers set to zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from palate.core import Float64Array, Int64Array, Settings
from palate.language.compression.trunk import Trunk, read

if TYPE_CHECKING:
    from torch import Tensor

    from palate.language.bert import Layer

_RIDGE = 1e-3
_PRODUCTS = ("attention_in", "attention_out", "feed_in", "feed_out")


class PruningSettings(Settings):
    """Of pruned encoders.

    Parameters
    ----------
    heads, neurons
        Share of attention heads and of feed-forward neurons that stay.
    weights
        Share of the numbers of each product that stay where single numbers are pruned by magnitude.
    texts
        How many texts importance is measured on.
    """

    heads: float = Field(default=0.75, gt=0, le=1)
    neurons: float = Field(default=0.7, gt=0, le=1)
    weights: float = Field(default=0.75, gt=0, le=1)
    texts: int = Field(default=512, ge=1)


@dataclass
class _Seen:
    """Sums over what goes into one product: count, first and second moments."""

    count: int = 0
    first: Float64Array | float = 0.0
    second: Float64Array | float = 0.0

    def add(self, states: Tensor) -> None:
        self.count += len(states)
        self.first = self.first + states.double().sum(0).numpy()
        self.second = self.second + (states.T @ states).double().numpy()

    @property
    def mean(self) -> Float64Array:
        return np.asarray(self.first) / self.count

    @property
    def covariance(self) -> Float64Array:
        return np.asarray(self.second) / self.count - np.outer(self.mean, self.mean)


def prune(trunk: Trunk, texts: Sequence[str], settings: PruningSettings | None = None) -> Trunk:
    """Take out the heads and neurons that change the least.

    What a head or neuron is worth is measured: the variance of what it adds to its layer's state while the trunk reads
    the catalogue's texts, as a share of the layer's, compared over all layers (after Michel et al. 2019 for heads). The
    weights of those that stay are then fitted anew to give what all gave, by least squares on the same texts.
    """
    settings = settings or PruningSettings()
    seen: dict[tuple[int, str], _Seen] = {}

    def observe(number: int, part: str, states: Tensor) -> None:
        if part in ("attention_out", "feed_out"):
            seen.setdefault((number, part), _Seen()).add(states)

    read(trunk, list(texts)[:: max(1, len(texts) // settings.texts)][: settings.texts], observe)
    size, layers = trunk.bert.head_size, trunk.bert.layers
    heads = _kept(
        [_worth(seen[n, "attention_out"], layer.attention_out[0], size) for n, layer in enumerate(layers)],
        settings.heads,
    )
    neurons = _kept(
        [_worth(seen[n, "feed_out"], layer.feed_out[0], 1) for n, layer in enumerate(layers)], settings.neurons
    )
    pruned = []
    for number, layer in enumerate(layers):
        lanes = (heads[number][:, None] * size + np.arange(size)).ravel()
        pruned.append(_thinner(layer, lanes, neurons[number], seen[number, "attention_out"], seen[number, "feed_out"]))
    whole = replace(trunk, bert=replace(trunk.bert, layers=tuple(pruned)), label=f"{trunk.label}-pruned")
    return whole.written_as("bf16")


def prune_by_magnitude(trunk: Trunk, settings: PruningSettings | None = None) -> Trunk:
    """Set the smallest numbers of each product to zero (Han et al. 2015); smaller on disk, not quicker.

    A processor multiplies by a zero as slowly as by anything else, so this pays in bytes alone.
    """
    settings = settings or PruningSettings()

    def thinned(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        sizes = pair[0].abs().flatten()
        drop = int(len(sizes) * (1 - settings.weights))
        if not drop:
            return pair
        return pair[0] * (pair[0].abs() > sizes.kthvalue(drop).values), pair[1]

    layers = tuple(
        replace(layer, **{part: thinned(getattr(layer, part)) for part in _PRODUCTS}) for layer in trunk.bert.layers
    )
    thin = replace(trunk, bert=replace(trunk.bert, layers=layers), label=f"{trunk.label}-magnitude")
    return thin.written_as("sparse")


def _worth(seen: _Seen, weights: Tensor, group: int) -> Float64Array:
    """Share of a layer's added variance that each group of lanes brings by itself."""
    covariance, matrix = seen.covariance, weights.double().numpy()
    parts = np.arange(len(covariance)).reshape(-1, group)
    blocks = covariance[parts[:, :, None], parts[:, None, :]]
    columns = matrix.T[parts]
    brought = np.einsum("gij,gid,gjd->g", blocks, columns, columns)
    return np.asarray(brought / max(float(brought.sum()), 1e-30))


def _kept(worth: list[Float64Array], share: float) -> list[Int64Array]:
    """Places that stay in each layer: the best over all layers, at least one a layer."""
    whole = np.concatenate(worth)
    floor = np.sort(whole)[::-1][max(0, round(len(whole) * share) - 1)]
    return [np.flatnonzero((own >= floor) | (own == own.max())) for own in worth]


def _thinner(layer: Layer, lanes: Int64Array, neurons: Int64Array, attended: _Seen, fed: _Seen) -> Layer:
    import torch

    inner = layer.attention_in[0].shape[0] // 3
    rows = torch.from_numpy(np.concatenate([lanes, lanes + inner, lanes + 2 * inner]))
    kept = torch.from_numpy(neurons)
    return replace(
        layer,
        attention_in=(layer.attention_in[0][rows], layer.attention_in[1][rows]),
        attention_out=_refitted(layer.attention_out, lanes, attended),
        feed_in=(layer.feed_in[0][kept], layer.feed_in[1][kept]),
        feed_out=_refitted(layer.feed_out, neurons, fed),
    )


def _refitted(pair: tuple[Tensor, Tensor], kept: Int64Array, seen: _Seen) -> tuple[Tensor, Tensor]:
    """Weights and bias over the kept lanes that come nearest to what all lanes gave."""
    import torch

    covariance, matrix = seen.covariance, pair[0].double().numpy()
    own = covariance[np.ix_(kept, kept)]
    own[np.diag_indices(len(kept))] += _RIDGE * max(float(np.trace(own)) / len(kept), 1e-12)
    fitted = np.linalg.solve(own, covariance[kept] @ matrix.T).T
    bias = pair[1].double().numpy() + matrix @ seen.mean - fitted @ seen.mean[kept]
    return torch.from_numpy(fitted.astype(np.float32)), torch.from_numpy(bias.astype(np.float32))
