"""A saved thing comes back exactly, or is refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from palate.core import ArtefactError
from palate.core.artefact import MANIFEST, Artefact, pack_sparse, read, unpack_sparse, write, write_text


@pytest.fixture
def thing() -> Artefact:
    matrix = sparse.random(5, 7, 0.4, format="csr", dtype=np.float32, random_state=1)
    return Artefact(
        "thing",
        {"settings": {"regularization": 0.5}, "名称": "测试"},
        arrays={"model": {"vector": np.arange(6, dtype=np.float32), **pack_sparse("matrix", matrix)}},
        texts={"notes.txt": "好的\n"},
        tables={"items": pa.table({"id": ["a", "b"]})},
    )


def test_what_is_written_is_read_back(thing: Artefact, tmp_path: Path) -> None:
    write(thing, tmp_path / "saved")
    found = read(tmp_path / "saved", "thing")
    assert found.manifest["settings"] == thing.manifest["settings"]
    assert found.manifest["名称"] == "测试"
    assert found.texts == thing.texts
    assert found.tables["items"].equals(thing.tables["items"])
    assert (found.arrays["model"]["vector"] == thing.arrays["model"]["vector"]).all()
    there, back = unpack_sparse("matrix", thing.arrays["model"]), unpack_sparse("matrix", found.arrays["model"])
    assert (there != back).nnz == 0
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_writing_again_replaces_the_old_one(thing: Artefact, tmp_path: Path) -> None:
    write(thing, tmp_path / "saved")
    write(Artefact("thing", {"second": True}), tmp_path / "saved")
    assert read(tmp_path / "saved", "thing").manifest["second"] is True
    assert not (tmp_path / "saved" / "notes.txt").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "notes.txt", "items.arrow"])
def test_damage_to_any_file_is_noticed(thing: Artefact, tmp_path: Path, name: str) -> None:
    write(thing, tmp_path / "saved")
    file = tmp_path / "saved" / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match=f"{name} is damaged"):
        read(tmp_path / "saved", "thing")
    file.unlink()
    with pytest.raises(ArtefactError, match=f"{name} is missing"):
        read(tmp_path / "saved", "thing")


def test_a_folder_that_is_none_is_refused(thing: Artefact, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="not a palate thing"):
        read(tmp_path, "thing")
    write(thing, tmp_path / "saved")
    with pytest.raises(ArtefactError, match="holds a thing, not a engine"):
        read(tmp_path / "saved", "engine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99"),
        ({"files": {"../secret": "0"}}, "missing"),
        ({"files": {"/etc/hosts": "0"}}, "missing"),
        ({"files": 7}, "damaged"),
        (None, "damaged"),
    ],
)
def test_manifests_of_another_make_are_refused(
    thing: Artefact, tmp_path: Path, change: dict[str, object] | None, message: str
) -> None:
    write(thing, tmp_path / "saved")
    (tmp_path / "secret").write_text("not yours")
    path = tmp_path / "saved" / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text("{" if change is None else json.dumps({**manifest, **change}), encoding="utf-8")
    with pytest.raises(ArtefactError, match=message):
        read(tmp_path / "saved", "thing")


@pytest.mark.parametrize("name", ["../outside.txt", "/absolute", "a/b", "", MANIFEST])
def test_names_that_lead_out_of_the_folder_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtefactError, match="cannot name a file"):
        write(Artefact("thing", {}, texts={name: "x"}), tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_what_is_not_ours_is_never_replaced(thing: Artefact, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(ArtefactError, match="not a palate artefact"):
        write(thing, tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"


def test_a_write_that_fails_leaves_the_old_one_and_no_litter(thing: Artefact, tmp_path: Path) -> None:
    write(thing, tmp_path / "saved")
    with pytest.raises(TypeError):
        write(Artefact("thing", {"no json": object()}), tmp_path / "saved")
    assert read(tmp_path / "saved", "thing").texts == thing.texts
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_text_files_are_whole_or_not_there(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a.txt", "一")
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "一"
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "deep" / "a.txt", "\ud800")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "一"
