"""Items and behaviour in words, attributions to words, neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import FloatArray, NotFittedError
from palate.data import Catalogue
from palate.language import (
    IndexSettings,
    ItemTextSettings,
    LexicalEncoder,
    VectorIndex,
    behaviour_text,
    item_text,
    item_texts,
    nearest,
    principal,
    unit_rows,
    word_weights,
)

ALL = ItemTextSettings(price=True)


def shop() -> Catalogue:
    rows = {
        "item_id": ["1", "2", "3", "4"],
        "title": ["OPI Nail Lacquer", "  Dry\n dog  food ", None, "Toy Story"],
        "brand": ["OPI", "Acme", None, ""],
        "category": ["Beauty > Nails > Polish", "Pets", None, "Animation|Comedy"],
        "price": [12.5, None, None, 3.0],
        "description": [None, "x" * 1000, None, None],
    }
    return Catalogue.of(pl.DataFrame(rows))


def test_item_texts() -> None:
    catalogue = shop()
    by_id = dict(zip(catalogue.frame["item_id"], item_texts(catalogue, ALL), strict=True))
    assert by_id["1"] == "OPI Nail Lacquer. Polish. price 12.5"
    assert by_id["2"] == "Dry dog food. Acme. Pets. " + "x" * 300
    assert by_id["3"] == ""
    assert by_id["4"] == "Toy Story. Animation, Comedy. price 3.0"
    path = item_texts(catalogue, ItemTextSettings(category="path"))
    assert "OPI Nail Lacquer. Beauty Nails Polish" in path


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=20), st.text(max_size=30))
@settings(max_examples=40, deadline=None)
def test_one_item_reads_as_it_does_in_a_catalogue(title: str, brand: str, category: str, description: str) -> None:
    row = {"item_id": ["1"], "title": [title], "brand": [brand], "category": [category], "description": [description]}
    alone = item_text(title, brand, category, description=description)
    assert [alone] == item_texts(Catalogue.of(pl.DataFrame(row)))
    assert len(alone) <= ItemTextSettings().characters
    assert "\n" not in alone


def test_a_full_title_goes_without_its_category() -> None:
    title = "Facial cleanser with aloe for dry skin"
    assert item_text(title, category="Beauty > Face") == title
    assert item_text("Cleanser", category="Beauty > Face") == "Cleanser. Face"
    assert item_text("", category="Beauty > Face") == "Face"


def test_a_million_characters_are_cut() -> None:
    assert len(item_text("long " * 200_000)) <= 600


def test_a_catalogue_without_text() -> None:
    assert item_texts(Catalogue.of(None, ["a", "b"])) == ["", ""]


def test_behaviour_in_english() -> None:
    things, kinds = ["a phone", "a tablet", "earphones"], ["purchase", "view", "purchase"]
    assert behaviour_text(things, kinds) == "bought a phone and earphones, viewed a tablet"
    assert behaviour_text(things) == "bought a phone, a tablet and earphones"
    assert behaviour_text(["x"], ["nudge"]) == "nudge x"
    assert behaviour_text([]) == behaviour_text([""]) == ""


def test_behaviour_with_times_and_prices() -> None:
    day = 86_400.0
    text = behaviour_text(
        ["a sofa", "a lamp"], ["purchase", "view"], times=[0.0, 99 * day], when=100 * day, prices=[300.0, 20.0]
    )
    assert text == "recently viewed a lamp, earlier bought a sofa, paid 300"
    chinese = behaviour_text(["沙发", "台灯"], None, "zh", times=[float("nan"), 0.0], when=day, prices=[300, 20])
    assert chinese == "最近购买了台灯，此前购买了沙发，单价20到300"


def test_only_the_newest_things_of_a_kind_are_said_and_each_once() -> None:
    assert behaviour_text(["a", "b", "c", "b"], each=2) == "bought c and b"


TITLES = [
    "wireless noise cancelling earphones",
    "red nail polish",
    "blue earphones",
    "noise meter",
    "wireless mouse",
    "智能手机 蓝牙耳机",
    "红色耳机",
]


def test_lexical_attribution_adds_up_to_the_cosine() -> None:
    encoder = LexicalEncoder().fit(TITLES)
    target = encoder.encode(["earphones without noise"])[0]
    weights = dict(word_weights(encoder, TITLES[0], target))
    cosine = float(encoder.encode([TITLES[0]])[0] @ target)
    assert sum(weights.values()) == pytest.approx(cosine, abs=1e-4)
    assert max(weights, key=lambda word: weights[word]) in {"earphones", "noise"}
    assert word_weights(encoder, "xyzzy", target) == word_weights(encoder, "", target) == []
    chinese = dict(word_weights(encoder, TITLES[5], encoder.encode(["耳机"])[0]))
    assert max(chinese, key=lambda word: chinese[word]).endswith("耳机")


class Letters:
    """Counts letters: what leaving a word out changes can be worked out by hand."""

    name, dimension, languages = "letters", 26, ("en",)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        counts = [[text.lower().count(chr(97 + letter)) for letter in range(26)] for text in texts]
        return unit_rows(np.array(counts, dtype=np.float32).reshape(-1, 26))


def test_occlusion_finds_the_word_that_matters() -> None:
    target = np.zeros(26, np.float32)
    target[25] = 1
    weights = word_weights(Letters(), "Fuzzy, FUZZY pear. The end", target)
    assert weights[0][0] == "fuzzy"
    assert {word for word, _ in weights} == {"fuzzy", "pear", "end"}
    full = Letters().encode(["Fuzzy, FUZZY pear. The end"])[0, 25]
    assert weights[0][1] == pytest.approx(full)
    assert word_weights(Letters(), "", target) == []


def random_unit(seed: int, n: int, dimension: int) -> FloatArray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32))


@given(st.integers(0, 10), st.integers(1, 40), st.integers(1, 45))
@settings(deadline=None, max_examples=30)
def test_exact_search_is_exact(seed: int, n: int, k: int) -> None:
    vectors, queries = random_unit(seed, n, 5), random_unit(seed + 100, 3, 5)
    rows, likeness = VectorIndex().build(vectors).search(queries, k)
    expected = -np.sort(-(queries @ vectors.T), axis=1)[:, :k]
    assert np.allclose(likeness[:, : expected.shape[1]], expected, atol=1e-6)
    assert (rows[:, n:] == -1).all()
    assert np.allclose(np.take_along_axis(queries @ vectors.T, rows[:, : min(n, k)], axis=1), expected, atol=1e-6)


def test_the_graph_finds_nearly_what_the_scan_finds_and_survives_saving() -> None:
    vectors, queries = random_unit(1, 3000, 16), random_unit(2, 50, 16)
    graph = VectorIndex(IndexSettings(exact_below=1)).build(vectors)
    found, likeness = graph.search(queries, 10)
    exact, _ = VectorIndex().build(vectors).search(queries, 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)]) > 0.9
    assert (np.diff(likeness, axis=1) <= 1e-6).all()
    again, _ = VectorIndex(IndexSettings(exact_below=1)).restore(graph.arrays()).search(queries, 10)
    assert np.array_equal(found, again)


def test_nearest_leaves_out_the_vector_itself_and_zeros() -> None:
    vectors = random_unit(3, 50, 4)
    vectors[7] = 0
    vectors[9] = vectors[8]
    matrix = nearest(vectors, 5)
    assert matrix.diagonal().sum() == 0
    assert matrix[7].nnz == 0
    assert matrix[:, 7].nnz == 0
    assert matrix[8, 9] == pytest.approx(1, abs=1e-5)
    assert np.diff(matrix.indptr).max() == 5
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    assert matrix[0].max() == pytest.approx(scores[0].max(), abs=1e-6)


def test_principal_directions_keep_inner_products() -> None:
    vectors = unit_rows(random_unit(4, 200, 6) @ random_unit(5, 6, 32))
    short, basis = principal(vectors, 6)
    assert short.shape == (200, 6)
    assert np.allclose(short @ (vectors[:3] @ basis).T, vectors @ vectors[:3].T, atol=1e-4)


def test_an_index_must_be_built() -> None:
    with pytest.raises(NotFittedError):
        VectorIndex().search(np.zeros((1, 3), np.float32), 1)


def test_behaviour_says_how_often_where_and_what_was_written_in_both_languages() -> None:
    facts = {"places": ["Berlin", "", "Berlin"], "reviews": ["fine", "  so\ngood  ", ""], "counts": True}
    text = behaviour_text(["tea", "mug", "tea"], **facts)  # type: ignore[arg-type]
    assert text == 'bought mug and tea (2 times), in Berlin, wrote "so good"'
    chinese = behaviour_text(
        ["茶", "杯", "茶"], language="zh", places=["北京"] * 3, reviews=["好" * 90] * 3, counts=True
    )
    assert chinese == f"购买了杯和茶（2次），在北京，评论说“{'好' * 80}…”"
