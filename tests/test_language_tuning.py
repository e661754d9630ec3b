"""Teaching the language model: every family, method and objective on tiny models, and MiniLM once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from palate.core import DataError, Histories, UsageError
from palate.language import EncoderSettings, TransformerSettings, load_encoder
from palate.language.tuning.adapters import Bottleneck, insert
from palate.language.tuning.contrast import Contrast, Lessons, distinct
from palate.language.tuning.corpus import Corpus
from palate.language.tuning.judging import Judging, Match, Pairs
from palate.language.tuning.objective import Objective, teach
from palate.language.tuning.reading import Reading
from palate.language.tuning.saving import merged, save_encoder
from palate.language.tuning.settings import Method, TrunkSettings, TuningSettings, VectorSettings
from palate.language.tuning.trunk import Trunk, layers_of, open_trunk
from palate.language.tuning.vectors import Vectors
from palate.training import loop
from tests.tuning_world import GOODS, tiny_model

FAMILIES = ("bert", "gpt2", "qwen2")
METHODS: tuple[Method, ...] = ("frozen", "lora", "adalora", "adapters", "full")
EXACT = EncoderSettings(transformer=TransformerSettings(precision="fp32"))
QUICK = TuningSettings(epochs=4, batch=40, learning_rate=1e-2, pace=0.3, patience=4)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {family: tiny_model(folder / family, family) for family in FAMILIES}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def opened(folder: Path, method: Method, **more: object) -> Trunk:
    return open_trunk(folder, TrunkSettings.model_validate({"method": method, "rank": 4, "precision": "fp32", **more}))


def shelves(trunk: Trunk, words: bool = True) -> Contrast:
    """People who take the three goods of one shelf in any order."""
    corpus, rng = Corpus(trunk, GOODS), np.random.default_rng(0)
    taken = [[3 * shelf + good for good in rng.permutation(3)] for shelf in range(4) for _ in range(15)]
    lessons = Lessons.of_histories(Histories.of(taken))
    return Contrast(corpus, Vectors.begin(corpus, VectorSettings(words=words, dropout=0.1)), lessons, lessons)


def states_of(trunk: Trunk) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trunk.model.named_parameters()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_taken_together_comes_to_read_alike(
    models: dict[str, Path], tmp_path: Path, family: str, method: Method
) -> None:
    trunk = opened(models[family], method)
    objective = shelves(trunk, words=False)
    before, weights = objective.eval().quality(), states_of(trunk)
    course = teach(trunk, objective, QUICK, resumable=False)
    after = objective.quality()
    assert before is not None
    assert after is not None
    assert after >= before
    assert course.history[-1][0] < course.history[0][0], "the loss did not fall"
    changed = {name for name, value in trunk.model.named_parameters() if not torch.equal(value, weights[name])}
    assert changed <= set(trunk.learnt())
    assert bool(changed) == (method != "frozen")
    for whole in (False, True):
        folder = tmp_path / f"whole-{whole}"
        save_encoder(trunk, objective.vectors, folder, whole=whole)
        encoder = load_encoder(str(folder), settings=EXACT)
        np.testing.assert_allclose(encoder.encode(GOODS), objective.encoded().numpy(), atol=2e-5)
        assert encoder.encode(["", " "]).any() == np.False_
        assert (folder / "model.safetensors").is_file() == whole


def test_every_tuned_encoder_has_a_name_of_its_own(models: dict[str, Path], tmp_path: Path) -> None:
    trunk = opened(models["bert"], "frozen")
    objective = shelves(trunk)
    save_encoder(trunk, objective.vectors, tmp_path / "one")
    teach(trunk, objective, QUICK, resumable=False)
    save_encoder(trunk, objective.vectors, tmp_path / "other" / "one")
    save_encoder(trunk, objective.vectors, tmp_path / "same" / "one")
    names = [load_encoder(str(tmp_path / path)).name for path in ("one", "other/one", "same/one")]
    assert names[0] != names[1] == names[2]


@pytest.mark.parametrize("family", ["bert", "qwen2"])
def test_heads_are_swapped_on_one_trunk(models: dict[str, Path], family: str) -> None:
    trunk = opened(models[family], "lora", dropout=0.0)
    corpus = Corpus(trunk, GOODS)
    left, right = np.divmod(np.arange(144, dtype=np.int32), 12)
    same = (left // 3 == right // 3).astype(np.float32)
    nothing, ones = np.empty((144, 0), np.float32), np.ones(144, np.float32)
    pairs = Pairs(left, right, nothing, same, ones)
    objectives: list[Objective] = [
        Reading(corpus, validation=0.3),
        shelves(trunk),
        Judging(corpus, Match(trunk.size, 0, "towers", 16, 0.0), "classification", pairs, pairs),
        Judging(corpus, Match(trunk.size, 0, "cross", 16, 0.0), "regression", pairs, pairs),
    ]
    for objective in objectives:
        weights, before = trunk.learnt(), objective.eval().quality()
        kept = {name: value.clone() for name, value in weights.items()}
        teach(trunk, objective, QUICK.model_copy(update={"epochs": 12, "batch": 48}), resumable=False)
        after = objective.quality()
        assert before is not None
        assert after is not None
        assert after > before * 1.005 or after > 0.99, objective.name
        assert any(not torch.equal(value, kept[name]) for name, value in trunk.learnt().items())


@pytest.mark.parametrize("method", ["lora", "adalora", "adapters"])
def test_killed_and_resumed_ends_where_the_uninterrupted_run_does(
    models: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    course = QUICK.model_copy(update={"epochs": 6, "steps": 2, "patience": 6})

    def run(progress: object = None) -> tuple[dict[str, torch.Tensor], list[str]]:
        trunk = opened(models["bert"], method)
        seen: list[str] = []

        def hear(stage: str, _share: float) -> None:
            seen.append(stage)
            if progress is not None and stage.startswith("epoch 4"):
                raise KeyboardInterrupt

        teach(trunk, shelves(trunk), course, progress=hear)
        return trunk.learnt(), seen

    whole, _ = run()
    with pytest.raises(KeyboardInterrupt):
        run("dies")
    assert len(list((cache / "training").iterdir())) == 1
    again, seen = run()
    assert seen[0].startswith("epoch 4"), "the fourth epoch was not saved, and is the first that is run again"
    for name, value in whole.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=0)
    assert not list((cache / "training").iterdir())


def test_ranks_are_dealt_out(models: dict[str, Path]) -> None:
    trunk = opened(models["bert"], "adalora")
    assert trunk.ranks is not None
    objective = shelves(trunk)
    teach(trunk, objective, QUICK.model_copy(update={"epochs": 8}), resumable=False)
    ranks = trunk.ranks.ranks()
    assert sum(ranks) <= 4 * len(ranks) < 6 * len(ranks), "4 a matrix are left of the 6 they began with"
    assert len(set(ranks)) > 1, "every matrix got the same"


def test_a_loss_that_is_no_number_says_so(models: dict[str, Path]) -> None:
    trunk = opened(models["bert"], "frozen")
    objective = shelves(trunk)
    with torch.no_grad():
        objective.sharpness.fill_(float("nan"))
    with pytest.raises(DataError, match=r"the loss became nan in epoch 1, batch 1.*Lower learning_rate"):
        teach(trunk, objective, QUICK, resumable=False)


def test_hard_negatives_are_pushed_away(models: dict[str, Path]) -> None:
    users = [f"likes {text}" for text in GOODS]
    texts, left, right = distinct(users, GOODS)
    wrong = np.roll(right, -1)[:, None]

    def margin(negatives: np.ndarray | None) -> float:
        trunk = opened(models["bert"], "full", dropout=0.0)
        corpus = Corpus(trunk, texts)
        lessons = Lessons.of_pairs(left, right, negatives)
        # Batches of two hold hardly a wrong answer, unless it is given.
        course = QUICK.model_copy(update={"batch": 2, "epochs": 6})
        objective = Contrast(corpus, Vectors.begin(corpus, VectorSettings(words=False, dropout=0.0)), lessons)
        teach(trunk, objective, course, resumable=False)
        vectors = objective.eval().encoded().numpy()
        asked = vectors[left]
        return float(((asked * vectors[right]).sum(1) - (asked * vectors[wrong[:, 0]]).sum(1)).mean())

    assert margin(wrong) > margin(None)


def test_blank_texts_teach_nothing_and_break_nothing(models: dict[str, Path]) -> None:
    trunk = opened(models["gpt2"], "lora")
    corpus = Corpus(trunk, ["", *GOODS, "  "])
    lessons = Lessons.of_histories(Histories.of([[0, 1, 2], [13, 0], [3, 13, 4]]))
    objective = Contrast(corpus, Vectors.begin(corpus), lessons)
    assert objective.lessons == 2
    teach(trunk, objective, QUICK, resumable=False)
    vectors = objective.encoded().numpy()
    assert not vectors[[0, 13]].any()
    np.testing.assert_allclose(np.linalg.norm(vectors[1:13], axis=1), 1, atol=1e-5)
    with pytest.raises(DataError, match="nothing to learn from"):
        Contrast(corpus, objective.vectors, Lessons.of_histories(Histories.of([[0, 13], [5]])))
    with pytest.raises(DataError, match="nothing to read"):
        Reading(Corpus(trunk, ["", "red"]))


def test_lessons_hold_what_came_before_and_newer_counts_more() -> None:
    lessons = Lessons.of_histories(Histories.of([[1, 2, 3], [4], [], [5, 6]]), window=2, decay=0.5)
    assert lessons.targets.tolist() == [2, 3, 6]
    assert [lessons.context.row(row).tolist() for row in range(3)] == [[1], [1, 2], [5]]
    assert lessons.context.weights.tolist() == [1, 0.5, 1, 1]
    assert lessons.groups.tolist() == [0, 0, 3]


def test_texts_of_like_length_go_together_and_keep_their_places(models: dict[str, Path]) -> None:
    trunk = opened(models["bert"], "frozen", tokens_per_batch=64)
    corpus = Corpus(trunk, [text for text in GOODS for _ in range(3)])
    rows = np.random.default_rng(1).permutation(len(corpus))
    together = corpus.states(rows)
    alone = torch.cat([trunk.states([corpus.tokens[row]]) for row in rows])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("lean", [True, False])
def test_forgetting_states_changes_no_gradient(models: dict[str, Path], lean: bool) -> None:
    trunk = opened(models["qwen2"], "full", lean=lean, dropout=0.0).train()
    trunk.states(Corpus(trunk, GOODS).tokens).square().sum().backward()  # type: ignore[no-untyped-call]
    found = {name: value.grad for name, value in trunk.named_parameters() if value.grad is not None}
    other = opened(models["qwen2"], "full", lean=not lean, dropout=0.0).train()
    other.states(Corpus(other, GOODS).tokens).square().sum().backward()  # type: ignore[no-untyped-call]
    for name, value in other.named_parameters():
        if value.grad is not None:
            torch.testing.assert_close(found[name], value.grad)


def test_half_precision_is_nearly_the_same(models: dict[str, Path]) -> None:
    exact, half = (opened(models["bert"], "frozen", precision=precision) for precision in ("fp32", "bf16"))
    tokens = Corpus(exact, GOODS).tokens
    cosine = torch.nn.functional.cosine_similarity(exact.states(tokens), half.states(tokens))
    assert not torch.equal(exact.states(tokens), half.states(tokens))
    assert float(cosine.detach().min()) > 0.999


def test_upper_layers_alone(models: dict[str, Path]) -> None:
    for method in ("lora", "adapters", "full"):
        names = opened(models["bert"], method, layers=1).learnt()
        assert names
        assert all(".1." in name for name in names)
    with pytest.raises(UsageError, match="layers = 3"):
        opened(models["bert"], "lora", layers=3)


def test_a_new_bottleneck_changes_nothing_and_needs_a_known_family() -> None:
    torch.manual_seed(0)
    states, matrix = torch.randn(3, 8), torch.nn.Linear(8, 8)
    torch.testing.assert_close(Bottleneck(matrix, 8, 2)(states), matrix(states))
    layer = torch.nn.Module()
    layer.add_module("unheard_of", torch.nn.Linear(8, 8))
    assert insert(torch.nn.ModuleList([layer]), 8, 2) == 0


def test_products_are_merged_under_the_models_own_names(models: dict[str, Path]) -> None:
    for method in ("lora", "adalora", "adapters", "full"):
        trunk = opened(models["gpt2"], method)
        plain = opened(models["gpt2"], "frozen").model.state_dict()
        state = merged(trunk)
        assert set(state) == set(plain)
        assert len(layers_of(trunk.plain())) == 2
        for name, value in plain.items():
            torch.testing.assert_close(state[name], value, msg=f"{method}: {name} changed before anything was learnt")


def test_another_model_under_the_same_name_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", "bert")
    trunk = opened(base, "lora")
    save_encoder(trunk, None, tmp_path / "tuned")
    assert load_encoder(str(tmp_path / "tuned")).dimension == 32
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    state = merged(opened(base, "frozen"))
    from safetensors.torch import save_file

    save_file({name: value + 0.01 for name, value in state.items()}, base / "model.safetensors")
    assert config["model_type"] == "bert"
    with pytest.raises(DataError, match="whose weights are others now"):
        load_encoder(str(tmp_path / "tuned"))


def test_what_cannot_be_taught_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no model folder"):
        open_trunk(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}', encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="not a model that can be taught"):
        open_trunk(tmp_path)
