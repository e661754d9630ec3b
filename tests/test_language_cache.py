"""The cache gives back what was put in, keeps its bound, and never costs a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.core import FloatArray
from palate.language import CachedEncoder, CacheSettings, VectorCache, cache_folder, unit_rows
from palate.language.cache import text_key


class Counting:
    """An encoder that says how many texts it was given."""

    def __init__(self, name: str = "counting", dimension: int = 4) -> None:
        self.name = name
        self.dimension = dimension
        self.languages = ("*",)
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        seeds = [int.from_bytes(text_key(text)[:4], "little") for text in texts]
        rows = [np.random.default_rng(seed).normal(size=self.dimension) for seed in seeds]
        return unit_rows(np.array(rows, dtype=np.float32).reshape(len(texts), self.dimension))


def test_a_second_run_encodes_only_what_changed(tmp_path: Path) -> None:
    first = CachedEncoder(Counting(), VectorCache(tmp_path))
    vectors = first.encode(["a", "b", "a", "耳机"])
    assert (first.hits, first.misses) == (0, 3)
    second = CachedEncoder(Counting(), VectorCache(tmp_path))
    assert np.array_equal(second.encode(["b", "耳机", "a", "new"])[:3], vectors[[1, 3, 0]])
    assert (second.hits, second.misses) == (3, 1)
    assert second.encoder.asked == ["new"]  # type: ignore[attr-defined]


def test_another_encoder_shares_nothing(tmp_path: Path) -> None:
    CachedEncoder(Counting("one"), VectorCache(tmp_path)).encode(["a"])
    other = CachedEncoder(Counting("two"), VectorCache(tmp_path))
    other.encode(["a"])
    assert other.misses == 1


@given(st.lists(st.lists(st.text(max_size=4), max_size=12), max_size=6), st.integers(0, 5))
def test_cached_equals_not_cached(calls: list[list[str]], recent: int) -> None:
    cached = CachedEncoder(Counting(), settings=CacheSettings(recent_texts=recent, chunk=3))
    for texts in calls:
        assert np.array_equal(cached.encode(texts), Counting().encode(texts))
        assert len(cached._recent) <= recent


def test_memory_alone_remembers_recent_texts() -> None:
    encoder = Counting()
    cached = CachedEncoder(encoder, settings=CacheSettings(recent_texts=2))
    for text in ("a", "b", "a", "c", "a", "b"):
        cached.encode([text])
    assert encoder.asked == ["a", "b", "c", "b"]


def test_what_memory_holds_cannot_be_changed_from_outside() -> None:
    cached = CachedEncoder(Counting())
    first = cached.encode(["a"])
    first[:] = 9
    assert cached.encode(["a"]).max() <= 1


def test_the_bound_on_disk_holds_and_the_oldest_go(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, CacheSettings(max_bytes=100 * 16, chunk=10))
    cached = CachedEncoder(Counting(), cache, settings=CacheSettings(recent_texts=1, chunk=10))
    for start in range(0, 400, 10):
        cached.encode([f"text {number}" for number in range(start, start + 10)])
        kept, size = cache.size()
        assert size == kept * 16 <= 100 * 16
    fresh = CachedEncoder(Counting(), cache)
    fresh.encode(["text 399", "text 0"])
    assert (fresh.hits, fresh.misses) == (1, 1)


def test_a_damaged_cache_is_begun_again_with_a_warning(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path)
    CachedEncoder(Counting(), cache).encode(["a"])
    cache.path.write_bytes(b"this is no database, it only stands where one should be" * 100)
    again = CachedEncoder(Counting(), VectorCache(tmp_path))
    with pytest.warns(RuntimeWarning, match="damaged"):
        vectors = again.encode(["a"])
    assert np.array_equal(vectors, Counting().encode(["a"]))
    third = CachedEncoder(Counting(), VectorCache(tmp_path))
    third.encode(["a"])
    assert third.hits == 1


def test_a_foreign_or_cut_vector_is_not_believed(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path)
    cache.put("counting", [text_key("a")], np.ones((1, 3), np.float32))
    cached = CachedEncoder(Counting(), cache)
    assert np.array_equal(cached.encode(["a"]), Counting().encode(["a"]))


def test_a_place_that_cannot_be_written_means_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where the folder should be", encoding="utf-8")
    cached = CachedEncoder(Counting(), VectorCache(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="not cached"):
        assert np.array_equal(cached.encode(["a"]), Counting().encode(["a"]))


def test_progress_counts_up_to_what_must_be_encoded(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    small = CacheSettings(chunk=2)
    cache = VectorCache(tmp_path, small)
    CachedEncoder(Counting(), cache).encode(["a"])
    CachedEncoder(Counting(), cache, lambda done, total: seen.append((done, total))).encode(list("abcdef"))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_the_folder_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("PALATE_CACHE")
    assert "palate" in str(cache_folder()).lower()
