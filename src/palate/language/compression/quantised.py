"""Eight-bit integers in place of floats, run by ONNX Runtime: a quarter of the size, and the processor's dot products.

Weights are rounded per output column (Jacob et al. 2018; Zafrir et al. 2019 for BERT). What flows between them is rounded
with a scale measured on every batch (``dynamic``), or measured beforehand on the catalogue's texts (``static``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xxhash

from palate.core import FloatArray, Settings
from palate.language.compression.graph import bert_graph
from palate.language.compression.trunk import Trunk
from palate.language.encoder import unit_rows
from palate.language.transformer import batches_by_length, padded_arrays, readable, tokenizer_of

if TYPE_CHECKING:
    from palate.language.transformer import Tokenize

Scales = Literal["dynamic", "static"]


class QuantisedSettings(Settings):
    """Of eight-bit encoders.

    Parameters
    ----------
    scales
        ``dynamic`` measures the scale of activations on every batch, ``static`` once on texts.
    calibration_texts
        How many texts static scales are measured on, spread evenly over those given.
    tokens_per_batch
        Tokens that go through the graph at once. Fewer keep the activations in the processor's cache, and each batch's
        scales closer to its texts.
    threads
        Of the processor.
    """

    scales: Scales = "dynamic"
    calibration_texts: int = 256
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
        return tokenizer_of(self.tokenizer, self.limit)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # ONNX Runtime warns of its own optimisations
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])


def quantise(trunk: Trunk, settings: QuantisedSettings | None = None, texts: Sequence[str] = ()) -> OnnxEncoder:
    """A trunk in eight bits.

    Parameters
    ----------
    texts
        What static scales are measured on, the catalogue's own; dynamic ones need none.
    """
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static

    settings = settings or QuantisedSettings()
    shape = {"extra_options": {"DefaultTensorType": TensorProto.FLOAT}, "per_channel": True}
    with tempfile.TemporaryDirectory() as place:
        whole, small = Path(place) / "whole.onnx", Path(place) / "small.onnx"
        whole.write_bytes(bert_graph(trunk.bert, trunk.pooling).SerializeToString())
        if settings.scales == "dynamic":
            quantize_dynamic(whole, small, weight_type=QuantType.QInt8, **shape)
        else:
            said = list(texts)[:: max(1, len(texts) // settings.calibration_texts)][: settings.calibration_texts]
            quantize_static(
                whole,
                small,
                _Calibration(trunk, said, settings.tokens_per_batch),
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt8,
                op_types_to_quantize=["MatMul", "Gather"],
                **shape,
            )
        graph = small.read_bytes()
    width = int(trunk.bert.words.shape[1])
    label = f"{trunk.label}-int8-{settings.scales}"
    return OnnxEncoder(graph, trunk.tokenizer, trunk.limit, width, trunk.languages, label, settings)


class _Calibration:
    """Batches of texts as ONNX Runtime's calibration asks for them."""

    def __init__(self, trunk: Trunk, texts: Sequence[str], tokens_per_batch: int) -> None:
        self._batches = self._of(trunk, texts, tokens_per_batch)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)

    @staticmethod
    def _of(trunk: Trunk, texts: Sequence[str], tokens_per_batch: int) -> Iterator[dict[str, Any]]:
        _, said = readable(texts, trunk.limit)
        tokens = trunk.tokenize()(said)
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        for batch in batches_by_length(lengths, tokens_per_batch):
            ids, mask = padded_arrays([tokens[i] for i in batch])
            yield {"ids": ids, "mask": mask}
