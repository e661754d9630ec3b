"""Encoders of the CLIP kind: texts and images in one space, so that a wish in words finds a picture.

Radford et al. 2021. The text tower is a ``TextEncoder``; the image tower makes the vectors of a block
(``[data] vectors``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from palate.core import DataError, FloatArray
from palate.core.artefact import file_sha256
from palate.language.encoder import unit_rows
from palate.language.transformer import Tokenize, batches_by_length, folder_of, padded, readable, tokenizer_from

if TYPE_CHECKING:
    from torch import Tensor

_TOKENS_PER_BATCH = 512
_IMAGES_AT_ONCE = 16
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_SPREAD = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's own training images, per colour; a model's ``preprocessor_config.json`` overrides them."""


@dataclass(frozen=True)
class ClipEncoder:
    """Both towers. Made by ``load_clip``.

    Parameters
    ----------
    size
        Edge of the square an image is scaled and cut to, in pixels.
    mean, spread
        What colours (0 to 1) are centred and scaled by.
    """

    name: str
    dimension: int
    limit: int
    size: int
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    tokenize: Tokenize = field(repr=False)
    model: Any = field(repr=False)
    languages: tuple[str, ...] = ("*",)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors of n texts, float32 (n, dimension); zeros for blank texts."""
        import torch

        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        rows, said = readable(texts, self.limit)
        if not said:
            return vectors
        tokens = self.tokenize(said)
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        with torch.inference_mode():
            for batch in batches_by_length(lengths, _TOKENS_PER_BATCH):
                ids, mask = padded([tokens[i] for i in batch])
                # The end-of-text token is found by its number, and what pads behind it is not attended to.
                hidden = self.model.text_model(input_ids=ids, attention_mask=mask).last_hidden_state
                last = hidden[torch.arange(len(batch)), mask.sum(1) - 1]
                vectors[rows[batch]] = self.model.text_projection(last).float().numpy()
        return unit_rows(vectors)

    def encode_images(self, images: Sequence[str | Path]) -> FloatArray:
        """Unit vectors of n image files, float32 (n, dimension); zeros where a file is missing or no image."""
        import torch

        vectors = np.zeros((len(images), self.dimension), dtype=np.float32)
        read = [(row, pixels) for row, path in enumerate(images) if (pixels := self._pixels(Path(path))) is not None]
        with torch.inference_mode():
            for start in range(0, len(read), _IMAGES_AT_ONCE):
                part = read[start : start + _IMAGES_AT_ONCE]
                seen = self.model.vision_model(pixel_values=torch.stack([pixels for _, pixels in part])).pooler_output
                vectors[[row for row, _ in part]] = self.model.visual_projection(seen).float().numpy()
        return unit_rows(vectors)

    def _pixels(self, path: Path) -> Tensor | None:
        """An image as float32 (3, size, size): its shorter edge scaled to the size, the middle cut out."""
        import torch
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(path) as image:
                whole = image.convert("RGB")
        except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
            return None
        scale = self.size / min(whole.size)
        width, height = (max(self.size, round(edge * scale)) for edge in whole.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        middle = whole.resize((width, height), Image.Resampling.BICUBIC).crop(
            (left, top, left + self.size, top + self.size)
        )
        colours = (np.asarray(middle, dtype=np.float32) / 255 - self.mean) / self.spread
        return torch.from_numpy(np.ascontiguousarray(colours.transpose(2, 0, 1), dtype=np.float32))


def load_clip(source: str | Path) -> ClipEncoder:
    """A CLIP model of transformers' from a folder, or by its name on the hub (``openai/clip-vit-base-patch32``).

    Raises
    ------
    DataError
        It is no such model, or it cannot be had.
    """
    folder = folder_of(source)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config.get("model_type") != "clip":
            raise ValueError(f"it is a model of the {config.get('model_type', 'unknown')} family, not clip")
        from transformers import CLIPModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        model = CLIPModel.from_pretrained(folder, use_safetensors=True).eval()
        limit = int(model.config.text_config.max_position_embeddings)
        tokenize = tokenizer_from((folder / "tokenizer.json").read_text(encoding="utf-8"), limit)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{source} is not a CLIP model that can be loaded from safetensors: {reason}") from None
    path = folder / "preprocessor_config.json"
    look = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    hashes = "".join(file_sha256(path) for path in sorted(folder.glob("*.safetensors")))
    return ClipEncoder(
        f"{Path(source).name}-{xxhash.xxh3_64_hexdigest(hashes.encode())}-clip",
        int(model.config.projection_dim),
        limit,
        int(model.config.vision_config.image_size),
        tuple(look.get("image_mean", _MEAN)),
        tuple(look.get("image_std", _SPREAD)),
        tokenize,
        model,
    )
