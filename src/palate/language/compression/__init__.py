"""Smaller and quicker encoders made from a large one: eight bits, half floats, pruning, distillation."""

from __future__ import annotations

from palate.language.compression.methods import METHODS, CompressionSettings, Made, compress
from palate.language.compression.quantised import OnnxEncoder, QuantisedSettings, quantise
from palate.language.compression.saved import Compressed, load_compressed, save_compressed
from palate.language.compression.table import StaticEncoder

__all__ = [
    "METHODS",
    "Compressed",
    "CompressionSettings",
    "Made",
    "OnnxEncoder",
    "QuantisedSettings",
    "StaticEncoder",
    "compress",
    "load_compressed",
    "quantise",
    "save_compressed",
]
