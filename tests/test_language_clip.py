"""The CLIP kind, on a tiny random model: both towers, their files, and what is no image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palate.core import DataError
from palate.language import TextEncoder
from palate.language.clip import ClipEncoder, load_clip
from tests.test_language_encoders import GOODS, small_model, tokenizer_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ClipEncoder:
    import torch
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("clip") / "tiny"
    folder.mkdir()
    size = tokenizer_of(folder, ("<unk>", "<pad>", "<start>", "<end>"), ("<start>", "<end>"))
    tower = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**tower, "vocab_size": size, "max_position_embeddings": 16, "eos_token_id": 3},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    CLIPModel(config).eval().save_pretrained(folder)
    return load_clip(folder)


def test_texts_are_what_the_model_makes_of_them(clip: ClipEncoder) -> None:
    import torch

    assert isinstance(clip, TextEncoder)
    vectors = clip.encode([*GOODS, ""])
    assert vectors.shape == (len(GOODS) + 1, 24)
    assert not vectors[-1].any()
    for row, ids in enumerate(clip.tokenize(GOODS)):
        with torch.inference_mode():
            seen = clip.model.text_model(input_ids=torch.tensor([ids])).pooler_output
            own = clip.model.text_projection(seen)[0].numpy()
        assert np.abs(own / np.linalg.norm(own) - vectors[row]).max() < 1e-4


def test_images_are_seen_and_what_is_none_is_zeros(clip: ClipEncoder, tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    paths = [tmp_path / name for name in ("wide.png", "tall.jpg", "small.png", "words.png", "missing.png")]
    for path, shape in zip(paths, [(40, 90, 3), (90, 40, 3), (8, 8, 3)], strict=False):
        Image.fromarray(random.integers(0, 255, shape, dtype=np.uint8)).save(path)
    paths[3].write_text("no image", encoding="utf-8")
    vectors = clip.encode_images(paths)
    assert np.allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-5)
    assert not vectors[3:].any()
    assert np.allclose(vectors[:1], clip.encode_images(paths[:1]), atol=1e-5)


def test_what_is_no_clip_model_is_refused(tmp_path: Path) -> None:
    small_model(tmp_path / "bert", "bert")
    with pytest.raises(DataError, match="bert family, not clip"):
        load_clip(tmp_path / "bert")
