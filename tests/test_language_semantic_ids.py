"""Semantic ids: balanced, unique, the same every time, and open to items that come later."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import FloatArray, UsageError
from palate.core.artefact import Artefact, read, write
from palate.language import unit_rows
from palate.language.semantic_ids import SemanticIds, SemanticIdSettings

Kind = Literal["product", "residual"]
KINDS: tuple[Kind, ...] = ("product", "residual")


def clusters(n: int = 300, dimension: int = 16, groups: int = 6, seed: int = 0) -> tuple[FloatArray, np.ndarray]:
    """Unit vectors around a few centres, the first centre's crowd larger than all others together."""
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(n) < 0.6, 0, rng.integers(1, groups, n))
    centres = rng.standard_normal((groups, dimension))
    return unit_rows((centres[group] + 0.2 * rng.standard_normal((n, dimension))).astype(np.float32)), group


def own(kind: Kind, **more: object) -> SemanticIdSettings:
    return SemanticIdSettings.model_validate({"kind": kind, "codes": 4, "size": 16, **more})


@pytest.mark.parametrize("kind", KINDS)
def test_no_code_is_chosen_by_too_many(kind: Kind) -> None:
    vectors, _ = clusters()
    for slack in (1.0, 1.5):
        ids = SemanticIds.fit(vectors, own(kind, slack=slack))
        capacity = np.ceil(slack * len(vectors) / 16)
        # What stands in for an id already taken is one of few, and not counted against the codes.
        for place in range(ids.places - 1):
            assert np.bincount(ids.codes[:, place]).max() <= capacity + 3
    free = SemanticIds.fit(vectors, own(kind, slack=1e9))
    assert max(np.bincount(free.codes[:, place]).max() for place in range(4)) > np.ceil(1.5 * len(vectors) / 16)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=60),
    st.sampled_from(KINDS),
    st.integers(1, 3),
    st.integers(0, 20),
)
@settings(max_examples=60, deadline=None)
def test_no_two_items_share_an_id(which: list[int], kind: Kind, codes: int, later: int) -> None:
    """Many items of one vector, zeros among them, get different ids, now and when they come later."""
    different = np.eye(6, 5, dtype=np.float32)  # the last one is zeros
    vectors = different[which]
    ids = SemanticIds.fit(vectors, own(kind, codes=codes, size=100, rounds=2))
    room = min(ids.size**ids.places - len(ids), later)
    grown = ids.extended(vectors[np.zeros(room, np.int64)])
    assert len(np.unique(grown.codes, axis=0)) == len(grown) == len(which) + room
    np.testing.assert_array_equal(grown.codes[: len(ids)], ids.codes)
    assert grown.codes.min() >= 0
    assert grown.codes.max() < ids.size


@pytest.mark.parametrize("kind", KINDS)
def test_like_items_have_like_codes(kind: Kind) -> None:
    vectors, group = clusters()
    ids = SemanticIds.fit(vectors, own(kind))
    # Of codes one after the other the first says most; the last ones tell neighbours apart.
    leading = ids.codes[:, :1] if kind == "residual" else ids.codes
    shared = (leading[:, None] == leading[None]).mean(axis=2)
    same = group[:, None] == group[None]
    np.fill_diagonal(same, False)
    assert shared[same].mean() > 3 * shared[group[:, None] != group[None]].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_more_codes_say_more(kind: Kind) -> None:
    vectors, _ = clusters()
    lost = []
    for codes in (2, 4, 8):
        ids = SemanticIds.fit(vectors, own(kind, codes=codes, size=32, slack=1e9))
        lost.append(float(((vectors @ ids.rotation - ids.rebuilt()) ** 2).sum()))
    assert lost[0] > lost[1] > lost[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_item_gets_the_codes_of_its_like(kind: Kind) -> None:
    vectors, _ = clusters()
    ids = SemanticIds.fit(vectors, own(kind, slack=1e9))
    grown = ids.extended(vectors[:20])
    # Twins may not share an id: they differ in the last code alone.
    assert (grown.codes[-20:] == ids.codes[:20]).mean() >= 0.7
    assert ids.books is grown.books


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_item_changes_alone(kind: Kind) -> None:
    vectors, _ = clusters()
    ids = SemanticIds.fit(vectors, own(kind))
    items = np.array([3, 77], np.int32)
    changed = ids.changed(items, vectors[[200, 201]])
    rest = np.setdiff1d(np.arange(len(ids)), items)
    np.testing.assert_array_equal(changed.codes[rest], ids.codes[rest])
    assert (changed.codes[items] != ids.codes[items]).any()
    assert len(np.unique(changed.codes, axis=0)) == len(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_every_time_and_after_a_save(kind: Kind, tmp_path: Path) -> None:
    vectors, _ = clusters()
    ids = SemanticIds.fit(vectors, own(kind))
    np.testing.assert_array_equal(SemanticIds.fit(vectors, own(kind)).codes, ids.codes)
    write(Artefact("ids", {}, {"ids": ids.arrays()}), tmp_path / "ids")
    again = SemanticIds.from_arrays(read(tmp_path / "ids", "ids").arrays["ids"])
    np.testing.assert_array_equal(again.codes, ids.codes)
    np.testing.assert_array_equal(again.extended(vectors[:9]).codes, ids.extended(vectors[:9]).codes)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_texts_that_differ_in_few_directions_still_name_everything(dimensions: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((500, dimensions)).astype(np.float32)
    ids = SemanticIds.fit(vectors, SemanticIdSettings(size=16))
    assert len(np.unique(ids.codes, axis=0)) == 500
    assert ids.places == 3


def test_more_items_than_ids() -> None:
    vectors, _ = clusters(40)
    with pytest.raises(UsageError, match="name 16 items, and there are 40: raise codes or size"):
        SemanticIds.fit(vectors, SemanticIdSettings(codes=2, size=4))
