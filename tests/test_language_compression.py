"""Encoders made smaller: what they keep, what they weigh on disk, what is refused; on a tiny BERT and on MiniLM."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import ArtefactError, DataError, FloatArray, UsageError
from palate.language import TextEncoder, load_encoder, load_transformer
from palate.language.compression import (
    METHODS,
    CompressionSettings,
    QuantisedSettings,
    StaticEncoder,
    compress,
    load_compressed,
    quantise,
    save_compressed,
)
from palate.language.compression.graph import bert_graph, eight_bits
from palate.language.compression.pruning import PruningSettings, prune, prune_by_magnitude
from palate.language.compression.static import StaticSettings, distil_static
from palate.language.compression.student import StudentSettings, distil_student
from palate.language.compression.table import pieces_of, units
from palate.language.compression.trunk import read, read_trunk
from palate.language.registry import minilm_source
from palate.training import loop
from tests.test_language_encoders import GOODS, ODD, PLAIN, small_model

THINGS = [
    f"{colour} {thing} for {whom}"
    for colour in ("red", "ruby red", "black", "soft white")
    for thing in ("nail polish", "hair brush", "dry dog food", "wireless earphones", "lip balm")
    for whom in ("women", "travel", "every day")
]
QUICK = CompressionSettings(student=StudentSettings(layers=1, epochs=2), static=StaticSettings(steps=10))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    small_model(folder, "bert")
    return str(folder)


@pytest.fixture(scope="module")
def teacher() -> TextEncoder:
    return load_encoder("minilm")


@pytest.fixture(scope="module")
def wanted(teacher: TextEncoder) -> FloatArray:
    return teacher.encode(THINGS)


def cosine(encoder: TextEncoder, wanted: FloatArray) -> float:
    return float((encoder.encode(THINGS) * wanted).sum(axis=1).mean())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_an_encoder_that_survives_the_disk(tiny: str, tmp_path: Path, method: str) -> None:
    made = compress(tiny, method, THINGS + GOODS, QUICK)
    encoder = made.encoder()
    size = save_compressed(made.what, tmp_path / "small")
    found = load_encoder(str(tmp_path / "small"))
    assert size == sum(path.stat().st_size for path in (tmp_path / "small").iterdir())
    assert isinstance(found, TextEncoder)
    assert found.name == encoder.name
    assert found.languages == ("*",)
    vectors = found.encode([*GOODS, *ODD])
    assert np.array_equal(vectors, encoder.encode([*GOODS, *ODD]))
    assert vectors.shape == (len(GOODS) + len(ODD), found.dimension)
    norms = np.linalg.norm(vectors, axis=1)
    assert np.all((np.abs(norms - 1) < 1e-3) | (norms == 0))
    assert not vectors[len(GOODS) : len(GOODS) + 3].any()
    assert found.encode([]).shape == (0, found.dimension)
    assert not list((tmp_path / "small").glob("*.pkl"))


def test_the_graph_gives_the_same_numbers_as_the_network(tiny: str) -> None:
    import onnxruntime

    trunk = read_trunk(tiny)
    session = onnxruntime.InferenceSession(bert_graph(trunk.bert, trunk.pooling).SerializeToString())
    ids = np.array([[1, 5, 6, 2], [1, 7, 2, 0]], dtype=np.int64)
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], dtype=np.int64)
    found = session.run(["vectors"], {"ids": ids, "mask": mask})[0]
    import torch

    hidden = trunk.bert(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    assert np.abs(found - mean / np.linalg.norm(mean, axis=1, keepdims=True)).max() < 1e-5


@pytest.mark.parametrize("scales", ["dynamic", "static"])
def test_eight_bits_keep_minilm_and_take_a_quarter(wanted: FloatArray, tmp_path: Path, scales: str) -> None:
    made = quantise(read_trunk("minilm"), THINGS, QuantisedSettings.model_validate({"scales": scales}))
    assert cosine(made, wanted) > 0.995
    whole = (Path(minilm_source()) / "model.safetensors").stat().st_size
    assert save_compressed(made, tmp_path / "small") < 0.3 * whole


def test_smoothing_brings_eight_bits_nearer(wanted: FloatArray) -> None:
    trunk = read_trunk("minilm")
    smooth, rough = (quantise(trunk, THINGS, QuantisedSettings(smoothness=value)) for value in (0.75, 0.0))
    assert cosine(smooth, wanted) > cosine(rough, wanted) + 0.001


def test_pruned_heads_and_neurons_are_gone_and_the_least_important_first(wanted: FloatArray) -> None:
    trunk = read_trunk("minilm")
    light = prune(trunk, THINGS, PruningSettings(heads=0.75, neurons=0.75))
    heads = sum(layer.heads(light.bert.head_size) for layer in light.bert.layers)
    neurons = sum(len(layer.feed_in[0]) for layer in light.bert.layers)
    assert heads == round(0.75 * 6 * 12)
    assert neurons == round(0.75 * 6 * 1536)
    assert cosine(light.encoder(), wanted) > 0.95
    everything = prune(trunk, THINGS, PruningSettings(heads=1, neurons=1))
    assert cosine(everything.encoder(PLAIN), wanted) > 0.999


def test_pruning_by_magnitude_zeroes_the_smallest_and_writes_them_not(tmp_path: Path) -> None:
    trunk = read_trunk("minilm")
    thin = prune_by_magnitude(trunk, PruningSettings(weights=0.5))
    before, after = trunk.bert.layers[2].feed_in[0], thin.bert.layers[2].feed_in[0]
    assert abs(float((after == 0).float().mean()) - 0.5) < 0.01
    assert float(before[after == 0].abs().max()) <= float(after[after != 0].abs().min())
    half = compress("minilm", "bf16", [])
    assert save_compressed(thin, tmp_path / "thin") < 0.95 * save_compressed(half.what, tmp_path / "half")


def test_a_smaller_transformer_learns_from_its_teacher(tiny: str) -> None:
    trunk = read_trunk(tiny)
    goals = read(trunk, THINGS)

    def nearness(epochs: int) -> float:
        import torch

        settings = StudentSettings(layers=1, epochs=epochs, tokens_per_batch=64, learning_rate=3e-3)
        student = distil_student(trunk, THINGS, settings).trunk
        assert len(student.bert.layers) == 1
        return float(torch.nn.functional.cosine_similarity(read(student, THINGS), goals).mean())

    before = trunk.bert.layers[0].feed_in[0].clone()
    assert nearness(8) > nearness(0)
    assert bool((trunk.bert.layers[0].feed_in[0] == before).all()), "the teacher is left as it was"


def test_a_student_killed_and_taught_again_ends_where_the_uninterrupted_one_does(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path))
    trunk, settings = read_trunk(tiny), StudentSettings(layers=1, epochs=5, patience=5, tokens_per_batch=64)
    whole = distil_student(trunk, THINGS, settings)

    def dies(what: str, _share: float) -> None:
        if "epoch 3" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distil_student(trunk, THINGS, settings, dies)
    heard: list[str] = []
    again = distil_student(trunk, THINGS, settings, lambda what, _: heard.append(what))
    assert not any("epoch 1 " in what or "epoch 2 " in what for what in heard) and any("epoch 3" in w for w in heard)
    assert again.trunk.digest == whole.trunk.digest and again.held_out == pytest.approx(whole.held_out)


def test_a_static_table_comes_near_texts_it_never_saw(teacher: TextEncoder, wanted: FloatArray) -> None:
    pieces = pieces_of(read_trunk("minilm").tokenizer)[1000:1200]
    found = distil_static(teacher, THINGS[::2], StaticSettings(dimension=64, steps=20), vocabulary=pieces)
    encoder = found.encoder
    likeness = wanted @ wanted.T
    ours = encoder.encode(THINGS) @ encoder.encode(THINGS).T
    unseen = np.ix_(range(1, len(THINGS), 2), range(1, len(THINGS), 2))
    assert np.corrcoef(likeness[unseen].ravel(), ours[unseen].ravel())[0, 1] > 0.8
    assert np.allclose(encoder.encode(["Ruby RED nail polish"]), encoder.encode(["ruby red nail polish"]))


def test_unknown_words_are_put_together_from_their_parts() -> None:
    names = ["nail", "##s", "##polish", "n", "##a", "nail polish"]
    encoder = StaticEncoder.of(names, np.eye(6, dtype=np.float32), ("en",), "x")

    def rows(text: str) -> list[int]:
        return sorted(encoder.rows([text]).indices.tolist())

    assert rows("nails") == [0, 1]
    assert rows("nailpolish") == [0, 2]
    assert rows("nail polish") == [0, 1, 5]
    assert rows("naxs") == [1, 3, 4]
    assert not encoder.encode(["zzz", ""]).any()


@given(st.text(max_size=80))
def test_units_are_lower_case_and_lose_no_letter(text: str) -> None:
    kept = "".join(units(text))
    assert kept == kept.lower() or not kept
    assert [letter for letter in text.lower() if letter.isalnum()] == [letter for letter in kept if letter.isalnum()]


@given(st.lists(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3), min_size=1, max_size=6))
def test_eight_bits_are_off_by_half_a_step_at_most(rows: list[list[float]]) -> None:
    matrix = np.array(rows, dtype=np.float32)
    for axis in (0, 1):
        rounded, scale = eight_bits(matrix, axis)
        step = np.expand_dims(scale, axis)
        assert (np.abs(rounded * step - matrix) <= step * 0.5001 + 1e-12).all()


def test_what_cannot_be_compressed_is_said_in_words(tmp_path: Path, tiny: str) -> None:
    small_model(tmp_path / "gpt", "gpt2")
    with pytest.raises(DataError, match=r"gpt2 family.*`static` takes any encoder"):
        compress(str(tmp_path / "gpt"), "int8", THINGS)
    made = compress(str(tmp_path / "gpt"), "static", THINGS, QUICK)
    assert made.encoder().encode(GOODS[:1]).any()
    with pytest.raises(UsageError, match="no method 'tiny'; there are bf16"):
        compress(tiny, "tiny", THINGS)
    with pytest.raises(DataError, match="no text"):
        compress(tiny, "student", ["", " "])


def test_a_damaged_or_foreign_encoder_is_refused(tiny: str, tmp_path: Path) -> None:
    save_compressed(compress(tiny, "int8", THINGS).what, tmp_path / "small")
    manifest = tmp_path / "small" / "manifest.json"
    names = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**names, "family": "else"}), encoding="utf-8")
    with pytest.raises(ArtefactError, match="'else' are unknown"):
        load_compressed(tmp_path / "small")
    graph = tmp_path / "small" / "encoder.onnx"
    content = bytearray(graph.read_bytes())
    content[-9] ^= 1
    graph.write_bytes(content)
    with pytest.raises(ArtefactError, match="SHA-256"):
        load_compressed(tmp_path / "small")


def test_a_compressed_encoder_has_a_name_of_its_own(tiny: str) -> None:
    names = {compress(tiny, method, THINGS, QUICK).encoder().name for method in METHODS}
    names.add(load_transformer(tiny, PLAIN).name)
    assert len(names) == len(METHODS) + 1
