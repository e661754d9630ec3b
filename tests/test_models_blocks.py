"""Item vectors from elsewhere: read from files and columns, aligned, kept on disk, heard by models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, FloatArray
from palate.data import Catalogue, Dataset
from palate.data.vectors import read_vectors
from palate.language import LexicalEncoder, item_texts
from palate.models.item_blocks import ItemBlocks
from palate.models.neural.described import Described
from palate.models.semantic import Semantic, SemanticSettings

NAMES = [f"i{number}" for number in range(40)]


def drawn(seed: int = 0) -> FloatArray:
    """Two heaps of pictures: even items look alike, odd items look alike."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(2, 6))
    return (centres[np.arange(40) % 2] + 0.1 * random.normal(size=(40, 6))).astype(np.float32)


def events() -> pl.DataFrame:
    """Everybody keeps to one heap."""
    random = np.random.default_rng(1)
    rows = [
        (f"u{user}", f"i{2 * item + user % 2}", 1.7e9 + 60.0 * step)
        for user in range(30)
        for step, item in enumerate(random.permutation(20)[:6])
    ]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def items(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"item_id": NAMES, "title": [f"thing number {name}" for name in NAMES], **columns})


def write_parquet(path: Path) -> Path:
    pl.DataFrame({"asin": NAMES, "embedding": drawn().tolist()}).write_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def write_safetensors(path: Path) -> Path:
    from safetensors.numpy import save_file

    save_file(dict(zip(NAMES, drawn(), strict=True)), path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def write_numpy(path: Path) -> Path:
    np.save(path.with_suffix(".npy"), drawn(), allow_pickle=False)
    path.with_suffix(".ids.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return path.with_suffix(".npy")


@pytest.mark.parametrize("write", [write_parquet, write_safetensors, write_numpy])
def test_files_of_every_kind_join_the_catalogue(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    events().write_parquet(tmp_path / "events.parquet")
    items().head(30).write_parquet(tmp_path / "items.parquet")
    path = write(tmp_path / "image")
    dataset = Dataset.load(tmp_path, vectors={"image": path.name})
    block = dataset.catalogue.blocks["image"]
    assert block.dtype == np.float32
    for name in NAMES:
        row = dataset.item_ids.position(name)
        listed = NAMES.index(name) < 30
        assert np.allclose(block[row], drawn()[NAMES.index(name)] if listed else 0)
    assert "image" not in dataset.catalogue.properties(dataset.item_ids.position("i3"))


def test_a_column_of_lists_is_a_block_and_survives_growth() -> None:
    vectors: list[list[float] | None] = [*drawn().tolist()]
    vectors[4], vectors[5] = None, [float("nan")] * 6
    dataset = Dataset.from_frames(events(), items(sound=vectors, tags=[["a", "b"]] * 40))
    catalogue = dataset.catalogue
    assert list(catalogue.blocks) == ["sound"]
    at = [catalogue.ids.position(name) for name in ("i4", "i5", "i6")]
    assert not catalogue.blocks["sound"][at[:2]].any()
    assert np.allclose(catalogue.blocks["sound"][at[2]], drawn()[6])
    grown = catalogue.extended(pl.DataFrame({"item_id": ["new"], "title": ["a new thing"]}))
    assert not grown.blocks["sound"][-1].any()
    assert np.array_equal(grown.blocks["sound"][:-1], catalogue.blocks["sound"])
    assert dataset.fingerprint != Dataset.from_frames(events(), items(sound=drawn().tolist())).fingerprint


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("gone.npy", None, "no file"), ("a.csv", b"x", "known are"), ("b.safetensors", b"no", "cannot be used")],
)
def test_files_that_hold_no_vectors_are_refused(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_vectors(tmp_path / name, "image")


def semantic(dataset: Dataset, **settings: Any) -> Semantic:
    encoder = LexicalEncoder().fit(item_texts(dataset.catalogue))
    return Semantic(SemanticSettings(**settings), encoder).fit(dataset)


def kept_to_heap(model: Semantic, dataset: Dataset) -> float:
    """Share of answers from the heap the asker keeps to."""
    answers = model.recommend(dataset.queries(k=5)).items
    heap = np.array([int(name[1:]) % 2 for name in dataset.item_ids.names])
    own = np.array([int(name[1:]) % 2 for name in dataset.user_ids.names])
    return float((heap[answers] == own[:, None]).mean())


def test_the_semantic_model_sees_pictures_and_is_saved_with_them() -> None:
    seeing = Dataset.from_frames(events(), items(image=drawn().tolist()))
    blind = Dataset.from_frames(events(), items())
    model = semantic(seeing)
    assert kept_to_heap(model, seeing) > 0.95
    assert kept_to_heap(semantic(blind), blind) < 0.8
    again = Semantic(None, model.encoder).restore(model.arrays())
    assert np.array_equal(again.score(seeing.queries()), model.score(seeing.queries()))
    unweighted = semantic(seeing, block_weight=0.0)
    assert np.allclose(unweighted.score(seeing.queries()), semantic(blind).score(blind.queries()), atol=1e-5)


def test_new_items_are_seen_too() -> None:
    dataset = Dataset.from_frames(events(), items(image=drawn().tolist()))
    model = semantic(dataset)
    twin = drawn()[0].tolist()
    new = pl.DataFrame({"item_id": ["new"], "title": ["thing number new"], "image": [twin]})
    grown = dataset.catalogue.extended(new.with_columns(pl.col("image").cast(pl.Array(pl.Float32, 6))))
    model.extend(grown)
    likeness = model.item_vectors @ model.item_vectors[-1]
    heap = np.array([int(name[1:]) % 2 for name in dataset.item_ids.names])
    assert likeness[:-1][heap == 0].mean() > likeness[:-1][heap == 1].mean() + 0.2


def test_a_network_reads_blocks_beside_texts() -> None:
    class Says:
        text, attributes, text_dimensions, word_dimensions = True, False, 8, 0

    catalogue = Dataset.from_frames(events(), items(image=drawn().tolist())).catalogue
    encoder = LexicalEncoder().fit(item_texts(catalogue))
    every = np.arange(len(catalogue), dtype=np.int32)
    with_blocks, _ = Described.fit(catalogue, Says(), encoder).of(catalogue, every, encoder)
    plain = Catalogue(catalogue.ids, catalogue.frame.drop("image"))
    without, _ = Described.fit(plain, Says(), encoder).of(plain, every, encoder)
    assert with_blocks is not None
    assert without is not None
    assert with_blocks.shape[1] == without.shape[1] + ItemBlocks.of(catalogue, 8).dimensions
    fitted = Described.fit(catalogue, Says(), encoder)
    again, _ = Described.from_arrays(fitted.arrays()).of(catalogue, every[:5], encoder)
    assert again is not None
    assert np.allclose(again, with_blocks[:5], atol=1e-6)
