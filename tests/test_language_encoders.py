"""Encoders of every family: unit vectors, the right pooling, odd texts, nothing tampered with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import DataError, NotFittedError
from palate.language import (
    EncoderSettings,
    LexicalEncoder,
    LexicalSettings,
    TextEncoder,
    TransformerEncoder,
    TransformerSettings,
    choose_encoder,
    detect_language,
    load_encoder,
    load_transformer,
    unit_rows,
)
from palate.language.registry import MINILM_SHA256, minilm_source
from palate.language.terms import lemma, terms, words
from palate.language.transformer import batches_by_length, pooling_of

GOODS = [
    "red nail polish",
    "nail lacquer, ruby red",
    "dry dog food with chicken",
    "wireless earphones",
    "智能手机 黑色",
]
ODD = ["", "   ", "\n\t", "🎧🔥", "a" * 1_000_000, "耳机 headphones 🎧", "\ud800 broken", "İstanbul ﬁne"]
PLAIN = TransformerSettings(precision="fp32")


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    return load_encoder("minilm")


@pytest.fixture(scope="module")
def lexical() -> LexicalEncoder:
    return LexicalEncoder().fit(GOODS)


def assert_unit_or_zero(vectors: np.ndarray[Any, Any]) -> None:
    norms = np.linalg.norm(vectors, axis=1)
    assert np.isfinite(vectors).all()
    assert ((norms < 1e-6) | (np.abs(norms - 1) < 1e-3)).all()


def test_minilm_knows_what_is_alike(minilm: TextEncoder) -> None:
    vectors = minilm.encode(GOODS)
    assert vectors.shape == (5, minilm.dimension) == (5, 384)
    assert vectors.dtype == np.float32
    assert_unit_or_zero(vectors)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.6
    assert cosines[0, 2] < 0.3


def test_minilm_equals_sentence_transformers_own_pipeline() -> None:
    import torch
    from transformers import AutoTokenizer, BertModel

    ours = load_transformer(minilm_source(), PLAIN)
    tokenizer = AutoTokenizer.from_pretrained(minilm_source())
    model = BertModel.from_pretrained(minilm_source()).eval()
    inputs = tokenizer(GOODS, padding=True, truncation=True, max_length=128, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    mean = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    assert np.abs(unit_rows(mean) - ours.encode(GOODS)).max() < 1e-5


def test_bf16_stays_close_to_fp32() -> None:
    exact = load_transformer(minilm_source(), PLAIN).encode(GOODS)
    quick = load_transformer(minilm_source(), TransformerSettings(precision="bf16")).encode(GOODS)
    assert (exact * quick).sum(axis=1).min() > 0.995


def test_a_tampered_copy_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(minilm_source(), copy)
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        load_transformer(copy, label="minilm", sha256=MINILM_SHA256)


@pytest.mark.parametrize("which", ["minilm", "lexical"])
def test_odd_texts(which: str, request: pytest.FixtureRequest) -> None:
    encoder: TextEncoder = request.getfixturevalue(which)
    vectors = encoder.encode(ODD)
    assert_unit_or_zero(vectors)
    assert not vectors[:3].any()
    assert encoder.encode([]).shape == (0, encoder.dimension)
    assert isinstance(encoder, TextEncoder)


@pytest.mark.parametrize("which", ["minilm", "lexical"])
def test_a_vector_does_not_depend_on_the_texts_beside_it(which: str, request: pytest.FixtureRequest) -> None:
    encoder: TextEncoder = request.getfixturevalue(which)
    together = encoder.encode(GOODS)
    alone = np.concatenate([encoder.encode([text]) for text in GOODS])
    assert (together * alone).sum(axis=1).min() > 0.999


def tokenizer_of(folder: Path, special: tuple[str, ...], template: tuple[str, str] | None) -> int:
    """A small word-level tokenizer in the format every family reads; the size of its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: number for number, word in enumerate([*special, *sorted(set(" ".join(GOODS).split()))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=special[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template is not None:
        shape = " ".join(part for part in (template[0], "$A", template[1]) if part)
        named = [(word, vocabulary[word]) for word in special if word in shape.split()]
        tokenizer.post_processor = processors.TemplateProcessing(single=shape, special_tokens=named)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": special[0], "pad_token": special[-1]}),
        encoding="utf-8",
    )
    return len(vocabulary)


def small_model(folder: Path, family: str) -> Any:
    """A randomly initialised model of a family, saved with its tokenizer."""
    import torch
    from transformers import (
        BertConfig,
        BertModel,
        GPT2Config,
        GPT2Model,
        Qwen2Config,
        Qwen2Model,
        XLNetConfig,
        XLNetModel,
    )

    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if family == "bert":
        size = tokenizer_of(folder, ("[UNK]", "[CLS]", "[SEP]", "[PAD]"), ("[CLS]", "[SEP]"))
        model: Any = BertModel(BertConfig(vocab_size=size, **sizes))
    elif family == "gpt2":
        size = tokenizer_of(folder, ("<unk>", "<pad>"), None)
        model = GPT2Model(GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=64))
    elif family == "qwen2":
        size = tokenizer_of(folder, ("<unk>", "<pad>"), None)
        model = Qwen2Model(Qwen2Config(vocab_size=size, num_key_value_heads=2, **sizes))
    else:
        size = tokenizer_of(folder, ("<unk>", "<sep>", "<cls>", "<pad>"), ("", "<sep> <cls>"))
        model = XLNetModel(XLNetConfig(vocab_size=size, d_model=32, n_layer=2, n_head=4, d_inner=64))
    model.eval().save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    ("family", "pooling"), [("bert", "mean"), ("gpt2", "last"), ("qwen2", "last"), ("xlnet", "last")]
)
def test_pooling_of_each_family(tmp_path: Path, family: str, pooling: str) -> None:
    import torch

    model = small_model(tmp_path / family, family)
    encoder = load_transformer(tmp_path / family, PLAIN)
    assert encoder.pooling == pooling
    assert encoder.dimension == 32
    texts = [*GOODS, ""]
    vectors = encoder.encode(texts)
    assert not vectors[-1].any()
    for row, ids in enumerate(encoder.tokenize(GOODS)):
        with torch.inference_mode():
            hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        expected = hidden.mean(0) if pooling == "mean" else hidden[-1]
        assert np.abs(unit_rows(expected.numpy()[None]) - vectors[row]).max() < 1e-4


def test_sentence_transformers_files_say_the_pooling(tmp_path: Path) -> None:
    small_model(tmp_path, "bert")
    (tmp_path / "1_Pooling").mkdir()
    modes = tmp_path / "1_Pooling" / "config.json"
    modes.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}), encoding="utf-8")
    assert load_transformer(tmp_path, PLAIN).pooling == "cls"
    modes.write_text(json.dumps({"pooling_mode_lasttoken": True}), encoding="utf-8")
    assert pooling_of(tmp_path, {"model_type": "bert"}) == "last"
    modes.write_text(json.dumps({"pooling_mode_max_tokens": True}), encoding="utf-8")
    with pytest.raises(DataError, match="pooling_mode_max_tokens"):
        load_transformer(tmp_path, PLAIN)


def test_weights_are_part_of_the_name(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    small_model(tmp_path, "bert")
    first = load_transformer(tmp_path, PLAIN).name
    assert load_transformer(tmp_path, PLAIN).name == first
    config = BertConfig.from_pretrained(tmp_path)
    BertModel(config).save_pretrained(tmp_path)
    assert load_transformer(tmp_path, PLAIN).name != first


def test_what_is_no_model_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no config\.json"):
        load_transformer(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="safetensors"):
        load_transformer(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(DataError, match="not a model"):
        load_transformer(tmp_path)
    with pytest.raises(DataError, match="no model folder"):
        load_transformer("./nowhere/at/all")


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 600))
def test_batches_hold_every_text_once_within_the_budget(lengths: list[int], budget: int) -> None:
    array = np.array(lengths, dtype=np.int32)
    batches = batches_by_length(array, budget)
    seen = sorted(row for batch in batches for row in batch.tolist())
    assert seen == [row for row, length in enumerate(lengths) if length]
    assert all(len(batch) == 1 or len(batch) * array[batch].max() <= budget for batch in batches)


def test_lexical_is_deterministic_and_survives_saving(lexical: LexicalEncoder) -> None:
    again = LexicalEncoder().fit(GOODS)
    restored = LexicalEncoder().restore(lexical.arrays())
    assert lexical.name == again.name == restored.name
    assert lexical.name != LexicalEncoder().fit(GOODS[:3]).name
    for other in (again, restored):
        assert np.array_equal(other.encode(GOODS + ODD), lexical.encode(GOODS + ODD))


def test_lexical_finds_by_shared_words(lexical: LexicalEncoder) -> None:
    cosines = lexical.encode(["NAIL polishes", "手机"]) @ lexical.encode(GOODS).T
    assert cosines.argmax(axis=1).tolist() == [0, 4]


@pytest.mark.parametrize("texts", [[], [""], ["one"], ["", "the of and"]])
def test_lexical_of_almost_nothing(texts: list[str]) -> None:
    encoder = LexicalEncoder(LexicalSettings(dimension=8)).fit(texts)
    vectors = encoder.encode([*texts, "one more"])
    assert vectors.shape == (len(texts) + 1, encoder.dimension)
    assert_unit_or_zero(vectors)


def test_lexical_must_be_fitted() -> None:
    with pytest.raises(NotFittedError):
        LexicalEncoder().encode(["x"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8))
def test_lexical_takes_any_text(lexical: LexicalEncoder, texts: list[str]) -> None:
    assert_unit_or_zero(lexical.encode(texts))


def test_words_and_terms() -> None:
    assert words("The Batteries of two Watches, glasses & 2 boxes") == ["battery", "two", "watch", "glass", "2", "box"]
    assert lemma("bus") == "bus"
    assert terms("tea") == ["tea"]
    assert terms("polish")[:3] == ["polish", "#po", "pol"]
    assert words("购买了智能手机和耳机") == ["智能手机", "耳机"] or words("购买了智能手机和耳机") == [
        "智能",
        "手机",
        "耳机",
    ]
    assert "手机" in terms("购买了智能手机和耳机")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("智能手机 iPhone", "zh"),
        ("red nail polish", "en"),
        ("", "en"),
        ("ワイヤレスイヤホン", "ja"),
        ("무선 이어폰", "ko"),
    ],
)
def test_detect_language(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_the_choice_of_encoder() -> None:
    english, chinese = ["nail polish"] * 10, ["智能手机"] * 10
    assert choose_encoder(english).encoder == "minilm"
    assert choose_encoder(chinese).encoder == "lexical"
    named = EncoderSettings(multilingual="BAAI/bge-small-zh-v1.5")
    assert choose_encoder(chinese, named).encoder == "BAAI/bge-small-zh-v1.5"
    assert choose_encoder(chinese, EncoderSettings(encoder="minilm")).encoder == "minilm"
    assert choose_encoder([]).encoder == "minilm"
    assert load_encoder(None, chinese).name.startswith("lexical-")


def test_minilm_is_a_transformer_encoder(minilm: TextEncoder) -> None:
    assert isinstance(minilm, TransformerEncoder)
    assert minilm.name.startswith("minilm-")
    assert minilm.languages == ("en",)
