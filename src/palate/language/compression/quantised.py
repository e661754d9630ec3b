"""Eight-bit integers in place of floats, run by ONNX Runtime: a quarter of the size, and the processor's dot products.

Weights are rounded per output column, words per row (Jacob et al. 2018; Zafrir et al. 2019 for BERT). What flows
between them is rounded with a scale measured on every batch (``dynamic``), or beforehand on the catalogue's texts
(``static``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xxhash

from palate.core import FloatArray, Settings
from palate.language.compression.graph import Rounding, bert_graph
from palate.language.compression.trunk import Trunk, read
from palate.language.encoder import unit_rows
from palate.language.transformer import batches_by_length, padded_arrays, readable, tokenizer_from

if TYPE_CHECKING:
    from torch import Tensor

    from palate.language.transformer import Tokenize

Scales = Literal["dynamic", "static"]

SMOOTHED = ("attention_in", "feed_in", "feed_out")
"""Products whose inputs have few huge channels. What attention gives is even: smoothing it gains nothing."""


class QuantisedSettings(Settings):
    """Of eight-bit encoders.

    Parameters
    ----------
    scales
        ``dynamic`` measures the scale of activations on every batch, ``static`` once on texts. With both smoothed, on
        Amazon Beauty they are as quick and as near as each other.
    calibration_texts
        How many texts show how large values become, spread evenly over those given.
    smoothness
        0 leaves huge channels to what flows, 1 to the weights. On titles of Amazon Beauty, MiniLM, dynamic: cosine to
        the teacher .9932 without, .9957 with half, .9978 with three quarters of the products named in ``SMOOTHED``.
    tokens_per_batch
        Tokens that go through the graph at once. Fewer keep the activations in the processor's cache, and each batch's
        scales closer to its texts.
    threads
        Of the processor.
    """

    scales: Scales = "static"
    calibration_texts: int = 256
    smoothness: float = 0.75
    tokens_per_batch: int = 512
    threads: int = 1


@dataclass(frozen=True)
class OnnxEncoder:
    """A sentence encoder as an ONNX graph with its tokenizer. Made by ``quantise``, or read from disk."""

    graph: bytes = field(repr=False)
    tokenizer: str = field(repr=False)
    limit: int
    dimension: int
    languages: tuple[str, ...]
    label: str
    settings: QuantisedSettings

    @cached_property
    def name(self) -> str:
        digest = xxhash.xxh3_64(self.graph)
        digest.update(self.tokenizer.encode())
        return f"{self.label}-{digest.hexdigest()}-{self.limit}"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors of n texts, float32 (n, dimension); zeros for blank texts."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        rows, said = readable(texts, self.limit)
        if not said:
            return vectors
        tokens = self._tokenize(said)
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        for batch in batches_by_length(lengths, self.settings.tokens_per_batch):
            ids, mask = padded_arrays([tokens[i] for i in batch])
            vectors[rows[batch]] = self._session.run(["vectors"], {"ids": ids, "mask": mask})[0]
        return unit_rows(vectors)

    @cached_property
    def _tokenize(self) -> Tokenize:
        return tokenizer_from(self.tokenizer, self.limit)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # ONNX Runtime warns of its own optimisations
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])


def quantise(trunk: Trunk, texts: Sequence[str], settings: QuantisedSettings | None = None) -> OnnxEncoder:
    """A trunk in eight bits.

    A few channels of what flows through a BERT are many times as large as the rest and would take the scale of all, so
    each channel is divided by a power of its largest value, and the weights behind it multiplied by that (SmoothQuant,
    Xiao et al. 2023; here the division is an operator of its own, because what is divided is also the residual).

    Parameters
    ----------
    texts
        A sample of them shows how large values become: the catalogue's own.
    """
    settings = settings or QuantisedSettings()
    said = list(texts)[:: max(1, len(texts) // settings.calibration_texts)][: settings.calibration_texts]
    rounding = _rounding(trunk, said, settings)
    graph = bert_graph(trunk.bert, trunk.pooling, rounding).SerializeToString()
    width = int(trunk.bert.words.shape[1])
    label = f"{trunk.label}-int8-{settings.scales}"
    return OnnxEncoder(graph, trunk.tokenizer, trunk.limit, width, trunk.languages, label, settings)


def _rounding(trunk: Trunk, texts: Sequence[str], settings: QuantisedSettings) -> Rounding:
    """Divisors and, for static scales, spans, from what goes into every product while the trunk reads texts."""
    low: dict[str, FloatArray] = {}
    high: dict[str, FloatArray] = {}

    def observe(number: int, part: str, states: Tensor) -> None:
        name = f"layer{number}.{part}"
        least, most = states.amin(0).numpy(), states.amax(0).numpy()
        low[name] = np.minimum(low.get(name, least), least)
        high[name] = np.maximum(high.get(name, most), most)

    read(trunk, texts, observe)
    smooth, spans = {}, {}
    for name, most in high.items():
        number, part = name.removeprefix("layer").split(".")
        if part in SMOOTHED:
            weights = getattr(trunk.bert.layers[int(number)], part)[0].abs().amax(0).numpy()
            smooth[name] = _divisors(np.maximum(most, -low[name]), weights, settings.smoothness)
        divisor = smooth.get(name, np.float32(1))
        spans[name] = (min(0.0, float((low[name] / divisor).min())), max(0.0, float((most / divisor).max())))
    return Rounding(smooth, spans if settings.scales == "static" else {})


def _divisors(largest: FloatArray, weights: FloatArray, smoothness: float) -> FloatArray:
    """SmoothQuant's equation 4, scaled to a mean of 1."""
    divisors = np.maximum(largest, 1e-5) ** smoothness / np.maximum(weights, 1e-5) ** (1 - smoothness)
    return np.asarray(divisors / divisors.mean(), dtype=np.float32)
