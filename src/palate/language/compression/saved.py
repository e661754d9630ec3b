"""Compressed encoders on disk: a directory each, with manifest and hashes; nothing in it can run code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.core import ArtefactError
from palate.core.artefact import Artefact, write
from palate.core.artefact import read as read_artefact
from palate.core.recommender import Arrays
from palate.language.compression.quantised import OnnxEncoder, QuantisedSettings
from palate.language.compression.table import StaticEncoder
from palate.language.compression.trunk import Form, Trunk, bert_from, manifest_of, tensors_of
from palate.language.encoder import TextEncoder
from palate.language.transformer import TransformerSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

KIND = "compressed"

Compressed = OnnxEncoder | StaticEncoder | Trunk
"""What compression makes."""


def save_compressed(made: Compressed, folder: Path) -> int:
    """Write it as a directory, whole or not at all; the bytes it takes."""
    if isinstance(made, OnnxEncoder):
        manifest = {
            "family": "onnx",
            "label": made.label,
            "limit": made.limit,
            "dimension": made.dimension,
            "languages": list(made.languages),
            "settings": made.settings.model_dump(),
        }
        artefact = Artefact(KIND, manifest, texts={"tokenizer.json": made.tokenizer}, graphs={"encoder": made.graph})
    elif isinstance(made, StaticEncoder):
        manifest = {"family": "static", "label": made.label, "languages": list(made.languages)}
        artefact = Artefact(KIND, manifest, {"static": made.arrays()})
    else:
        manifest = {"family": "bert", "form": made.form, **manifest_of(made)}
        arrays = {"weights": _packed(tensors_of(made.bert), made.form)}
        artefact = Artefact(KIND, manifest, arrays, {"tokenizer.json": made.tokenizer})
    write(artefact, folder)
    return sum(path.stat().st_size for path in folder.iterdir())


def load_compressed(folder: Path, settings: TransformerSettings | None = None) -> TextEncoder:
    """What ``save_compressed`` wrote, as an encoder.

    Raises
    ------
    ArtefactError
        The folder holds none, or it is damaged.
    """
    artefact = read_artefact(folder, KIND)
    names = artefact.manifest
    try:
        languages, label = tuple(names["languages"]), str(names["label"])
        match names["family"]:
            case "onnx":
                own = QuantisedSettings.model_validate(names["settings"])
                tokenizer, graph = artefact.texts["tokenizer.json"], artefact.graphs["encoder"]
                return OnnxEncoder(
                    graph, tokenizer, int(names["limit"]), int(names["dimension"]), languages, label, own
                )
            case "static":
                return StaticEncoder.from_arrays(artefact.arrays["static"], languages, label)
            case "bert":
                return _trunk(names, artefact).encoder(settings)
        raise ValueError(f"encoders of the family {names['family']!r} are unknown")
    except (KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"{folder} is not an encoder this palate can read ({error}). Compress again.") from None


def _trunk(names: Any, artefact: Artefact) -> Trunk:
    bert = bert_from(_unpacked(artefact.arrays["weights"]), int(names["head_size"]), float(names["epsilon"]))
    languages = tuple(names["languages"])
    tokenizer = artefact.texts["tokenizer.json"]
    return Trunk(bert, tokenizer, names["pooling"], languages, int(names["limit"]), names["label"], names["form"])


def _packed(tensors: dict[str, Tensor], form: Form) -> Arrays:
    """Tensors as plain arrays: floats, the upper half of their bits (bf16), or those of them that are not zero."""
    import torch

    if form == "fp32":
        return {name: tensor.numpy() for name, tensor in tensors.items()}
    arrays: dict[str, Any] = {}
    for name, tensor in tensors.items():
        bits = tensor.to(torch.bfloat16).view(torch.int16).numpy()
        kept = bits != 0
        if form == "sparse" and tensor.ndim == 2 and kept.mean() < 0.9:
            arrays[f"{name}|where"] = np.packbits(kept)
            arrays[f"{name}|shape"] = np.array(bits.shape, dtype=np.int64)
            bits = bits[kept]
        arrays[f"{name}|bits"] = bits
    return arrays


def _unpacked(arrays: Arrays) -> dict[str, Tensor]:
    import torch

    tensors: dict[str, Tensor] = {}
    for key, value in arrays.items():
        name, _, part = key.partition("|")
        if not part:
            tensors[name] = torch.from_numpy(np.array(value))
        elif part == "bits":
            bits = np.array(value)
            if f"{name}|where" in arrays:
                shape = tuple(np.asarray(arrays[f"{name}|shape"]).tolist())
                whole = np.zeros(shape, dtype=np.int16)
                whole[_places(arrays[f"{name}|where"], shape)] = bits
                bits = whole
            tensors[name] = _floats(torch.from_numpy(bits))
    return tensors


def _places(packed: Any, shape: tuple[int, ...]) -> Any:
    return np.unpackbits(np.asarray(packed), count=int(np.prod(shape))).astype(bool).reshape(shape)


def _floats(bits: Tensor) -> Tensor:
    import torch

    floats: torch.Tensor = bits.view(torch.bfloat16).float()
    return floats
