"""The sources that count and read words: laws, growth, changed texts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import Histories, Queries, Scorer, UsageError
from palate.data import Catalogue, Dataset
from palate.language.vocabulary import Vocabulary, text_terms
from palate.models.lexical import Lexical, LexicalSettings
from palate.models.popularity import Popularity
from palate.models.repeats import Repeats
from palate.models.semantic import Semantic
from palate.testing import FakeEncoder, RecommenderConformance, small_shop


class TestRepeats(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Repeats()


class TestLexical(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Lexical()


class TestLexicalFewNeighbours(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Lexical(LexicalSettings(neighbours=3))


def grown(*titles: str) -> Catalogue:
    frame = pl.DataFrame({"item_id": [f"n{place}" for place in range(len(titles))], "title": titles})
    return small_shop().catalogue.extended(frame)


def wished(model: Scorer[Dataset], text: str, k: int = 1) -> list[int]:
    return [int(item) for item in model.recommend(Queries(Histories.empty(1), k=k, text=(text,))).row(0)]


def test_own_things_speak_for_themselves() -> None:
    scores = Repeats().fit(small_shop()).score(Queries.of([[4, 7, 4]]))[0]
    assert np.argsort(-scores, kind="stable")[:2].tolist() == [4, 7]
    assert np.count_nonzero(scores) == 2


def test_growth_by_words_several_times_and_by_nothing() -> None:
    model = Lexical().fit(small_shop())
    known = model.n_items
    assert model.extend(small_shop().catalogue).n_items == known
    model.extend(grown("steel pan zorbello"))
    assert model.extend(grown("steel pan zorbello")).n_items == known + 1
    model.extend(grown("steel pan zorbello", "zorbello lamp", "zorbello cup"))
    assert wished(model, "zorbello pan") == [known]
    assert set(wished(model, "zorbello", 3)) == {known, known + 1, known + 2}
    lamp = model.score(Queries.of([[known + 1]]))[0]
    assert lamp[known] > 0 < lamp[known + 2]
    assert lamp[known + 1] == 0
    with pytest.raises(UsageError, match="cannot extend"):
        model.extend(small_shop().catalogue)


@settings(max_examples=15)
@given(
    st.lists(
        st.lists(st.sampled_from(["steel", "pan", "rose", "garden", "cup", "lamp", "木勺"]), min_size=1, max_size=4),
        min_size=1,
        max_size=6,
    )
)
def test_growth_finds_the_neighbours_that_fitting_again_would(new: list[list[str]]) -> None:
    catalogue = grown(*(" ".join(words) for words in new))
    model = Lexical(LexicalSettings(neighbours=200)).fit(small_shop()).extend(catalogue)
    vectors = model._vectors
    assert vectors is not None
    expected = (vectors @ vectors.T).toarray()
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.score(Queries.of([[item] for item in range(len(catalogue))])), expected, atol=1e-5)


def test_changed_words_replace_the_old_ones() -> None:
    model, catalogue = Lexical().fit(small_shop()), small_shop().catalogue
    drum, pan = (catalogue.titles.index(title) for title in ("drum sticks classic", "steel pan classic"))
    changed = catalogue.extended(pl.DataFrame({"item_id": [catalogue.ids[drum]], "title": ["steel pan giant"]}))
    before = model.score(Queries.of([[pan]]))[0, drum]
    model.reread(changed, np.array([drum], dtype=np.int32))
    assert model.score(Queries.of([[pan]]))[0, drum] > before
    assert wished(model, "giant pan") == [drum]
    assert drum not in wished(model, "drum sticks", 1)


def test_a_copy_made_before_goes_on_as_it_was() -> None:
    import copy

    for model in (Lexical().fit(small_shop()), Semantic(None, FakeEncoder()).fit(small_shop())):
        queries = Queries.of([[0, 5], [9]])
        before, beside = model.score(queries), copy.copy(model)
        beside.extend(grown("steel pan zorbello")).reread(grown("rose cup"), np.array([3], dtype=np.int32))
        np.testing.assert_array_equal(model.score(queries), before)
        assert beside.n_items == model.n_items + 1


def test_every_language_column_is_read() -> None:
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "title": ["Ground Coffee", "Green Tea", "Steel Pan"],
            "title_zh": ["单一产地咖啡粉", "龙井绿茶", "不锈钢锅"],
            "brand_zh": ["咖芙", "茶语", "灶边"],
            "category_zh": ["食品 > 饮品", "食品 > 饮品", "厨房 > 锅具"],
            "title_length": [1, 2, 3],
        }
    )
    events = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [1.0, 2.0]})
    model = Lexical().fit(Dataset.assemble(events, items))
    names = Dataset.assemble(events, items).item_ids
    assert names[wished(model, "咖啡")[0]] == "a"
    assert names[wished(model, "灶边 锅具")[0]] == "c"
    assert names[wished(model, "tea")[0]] == "b"


def test_words_within_chinese_words_are_found() -> None:
    assert "咖啡" in text_terms("咖啡粉")
    assert text_terms("咖啡") == ["咖啡"]
    assert text_terms("steel pan") == ["steel", "pan", "steel pan"]


def test_a_vocabulary_grows_behind_what_it_knew() -> None:
    vocabulary = Vocabulary.of(["steel pan", "steel cup"], 100)
    more = vocabulary.extended(["zorbello pan"])
    assert more.names[: len(vocabulary)] == vocabulary.names
    assert "zorbello" in more.names
    assert more.weights[more.names.index("zorbello")] == vocabulary.weights.max()
    assert vocabulary.extended(["steel pan"]) is vocabulary


class EnglishOnly(FakeEncoder):
    @property
    def languages(self) -> tuple[str, ...]:
        return ("en",)


def test_an_encoder_is_not_asked_for_what_it_cannot_read() -> None:
    encoder = EnglishOnly()
    model = Semantic(None, encoder).fit(small_shop())
    assert (model.reads("a steel pan"), model.reads("不锈钢锅")) == (True, False)
    encoder.encoded.clear()
    silent = model.score(Queries(Histories.empty(2), text=("不锈钢锅", "steel pan")))
    assert encoder.encoded == ["", "steel pan"]
    assert not silent[0].any()
    assert silent[1].any()
    assert Semantic(None, FakeEncoder()).fit(small_shop()).reads("不锈钢锅")


def test_popularity_forgets_as_fast_as_the_data_asks() -> None:
    days = np.arange(100)
    old = pl.DataFrame(
        {"user_id": [f"o{day}" for day in days], "item_id": "then", "timestamp": 1.6e9 + 86_400.0 * days}
    )
    new = pl.DataFrame(
        {"user_id": [f"n{day}" for day in days[90:]], "item_id": "now", "timestamp": 1.6e9 + 86_400.0 * days[90:] + 60}
    )
    faded = old.filter(pl.col("timestamp") < 1.6e9 + 86_400.0 * 90)
    changing = Dataset.from_frames(pl.concat([faded, new, new.with_columns(user_id="m" + pl.col("user_id"))]))
    steady = Dataset.from_frames(old)
    asked = Queries.of([[]], k=1)
    best = Popularity().fit(changing).recommend(asked).row(0)
    assert changing.item_ids[int(best[0])] == "now"
    assert steady.item_ids[int(Popularity().fit(steady).recommend(asked).row(0)[0])] == "then"
