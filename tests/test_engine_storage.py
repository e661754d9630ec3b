"""An engine on disk: the same answers, nobody's name, and a refusal of anything else."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from palate.core import ArtefactError
from palate.core.artefact import Artefact, file_sha256, write
from palate.engine import Engine
from tests.engine_world import busiest, dataset, fresh, ids, same, shop, wordless

WHEN = {"when": 1.767e9}


@pytest.fixture(autouse=True)
def vault(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.getbasetemp() / "storage.vault"
    monkeypatch.setenv("PALATE_VAULT", str(path))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("saved") / "engine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PALATE_VAULT", str(tmp_path_factory.getbasetemp() / "storage.vault"))
        fresh().save(place)
    return place


def test_a_loaded_engine_gives_identical_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Habits fade by the second, and on a busy machine seconds lie between two questions.
    monkeypatch.setattr(time, "time", lambda: WHEN["when"])
    engine, loaded = fresh(), Engine.load(folder)
    assert loaded.version == engine.version
    assert loaded.describe() == engine.describe()
    for user in busiest(dataset(), 5):
        assert same(
            loaded.recommend(user, context=WHEN, explain=True), engine.recommend(user, context=WHEN, explain=True)
        )
        item = engine.catalogue.ids[9]
        assert loaded.explain(item, user).history == engine.explain(item, user).history
    assert same(loaded.recommend(text="咖啡"), engine.recommend(text="咖啡"))
    assert same(loaded.similar(engine.catalogue.ids[4]), engine.similar(engine.catalogue.ids[4]))


def test_people_are_found_by_the_name_they_had(folder: Path) -> None:
    loaded, user = Engine.load(folder), busiest(dataset())[0]
    known = loaded.known_as(user)
    assert known.startswith("p_")
    assert ids(loaded.recommend(user, context=WHEN)) == ids(loaded.recommend(known, context=WHEN))
    assert loaded.recommend(user).source == "palate"
    before = loaded.recommend(user, context=WHEN)
    loaded.update(events=[{"user_id": user, "item_id": loaded.catalogue.ids[0], "kind": "purchase"}])
    assert not same(loaded.recommend(user, context=WHEN), before)


def test_nobodys_name_and_nobodys_words_are_on_disk(folder: Path) -> None:
    world = shop()
    stored = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    assert len(stored) > 10_000
    assert not [name for name in world.users["user_id"].to_list() if name.encode() in stored]
    reviews = world.events.filter(world.events["kind"] != "search")
    written = reviews["text"].drop_nulls().unique().to_list()
    assert len(written) > 20
    assert not [text for text in written if text.encode() in stored]
    for column in ("session_id", "event_id"):
        assert not [name for name in world.events[column].drop_nulls().to_list()[:200] if name.encode() in stored]


def test_an_engine_that_grew_is_saved_grown(tmp_path: Path) -> None:
    engine = fresh()
    engine.update(items=[{"item_id": "new-1", "title": "Zorbello Quokka Figurine"}])
    engine.save(tmp_path / "grown")
    loaded = Engine.load(tmp_path / "grown")
    assert ids(loaded.recommend(text="quokka", k=1)) == ["new-1"]
    assert same(loaded.similar("new-1"), engine.similar("new-1"))
    loaded.update(items=[{"item_id": "new-2", "title": "Zorbello Quokka Lamp"}])
    assert ids(loaded.recommend(text="quokka lamp", k=1)) == ["new-2"]


def test_saving_what_was_loaded_keeps_the_pseudonyms(folder: Path, tmp_path: Path) -> None:
    Engine.load(folder).save(tmp_path / "again")
    user = busiest(dataset())[0]
    assert same(
        Engine.load(tmp_path / "again").recommend(user, context=WHEN),
        Engine.load(folder).recommend(user, context=WHEN),
    )


def test_an_engine_without_words_is_stored_too(tmp_path: Path) -> None:
    engine = Engine.fit(wordless())
    engine.save(tmp_path / "wordless")
    loaded = Engine.load(tmp_path / "wordless")
    assert loaded.kind == "features"
    assert same(loaded.recommend("u7", context=WHEN), engine.recommend("u7", context=WHEN))


def test_what_is_no_engine_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="is not a palate engine"):
        Engine.load(tmp_path / "nowhere")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "notes.txt").write_text("milk", encoding="utf-8")
    with pytest.raises(ArtefactError, match="is not a palate engine"):
        Engine.load(tmp_path / "foreign")
    with pytest.raises(ArtefactError, match="nothing was written"):
        fresh().save(tmp_path / "foreign")
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["notes.txt"]
    write(Artefact("truth", {}), tmp_path / "truth")
    with pytest.raises(ArtefactError, match="holds a truth, not a engine"):
        Engine.load(tmp_path / "truth")


@pytest.mark.parametrize("name", ["model.als.safetensors", "ranker.0.txt", "events.arrow"])
def test_a_damaged_or_missing_file_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match=f"{name} is damaged"):
        Engine.load(copy)
    (copy / name).unlink()
    with pytest.raises(ArtefactError, match=f"{name} is missing"):
        Engine.load(copy)


def test_another_format_or_a_manifest_that_lies_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))

    def rewritten(**changes: object) -> Path:
        (copy / "manifest.json").write_text(json.dumps({**manifest, **changes}), encoding="utf-8")
        return copy

    with pytest.raises(ArtefactError, match="has format 99; this palate reads"):
        Engine.load(rewritten(format=99))
    with pytest.raises(ArtefactError, match="is not an engine this palate can read"):
        Engine.load(rewritten(sources=["popularity", "oracle"]))
    with pytest.raises(ArtefactError, match="is not an engine this palate can read"):
        Engine.load(rewritten(settings={"wings": 2}))
    (copy / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtefactError, match="is damaged"):
        Engine.load(copy)


def test_every_file_is_named_with_its_hash(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    files = {path.name: file_sha256(path) for path in folder.iterdir() if path.name != "manifest.json"}
    assert manifest["files"] == files
    assert {"numpy", "lightgbm", "polars"} <= set(manifest["libraries"])
