"""Search by words: Chinese without its spaces, English by its lemmas, related words, the rare single character."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate.core import NotFittedError, Queries
from palate.core.histories import Histories
from palate.data import Catalogue, Dataset
from palate.language import LexicalEncoder, SearchSettings, TextSearch, item_texts
from palate.language.related import related
from palate.language.vocabulary import Vocabulary
from palate.models.lexical import Lexical, LexicalSettings
from palate.testing import small_shop
from tests.beijing import catalogue_of, ndcg, places, questions, relevant
from tests.conftest import shared_data

TEXTS = [
    "有机绿茶礼盒",
    "不锈钢保温茶杯",
    "纯棉床单四件套",
    "景德镇陶瓷碗",
    "wool socks for hikers",
    "trail running shoes",
]


def best(query: str, search: TextSearch) -> str:
    return TEXTS[int(search.scores([query])[0].argmax())]


@pytest.mark.parametrize(
    ("query", "found"),
    [("茶", {0, 1}), ("杯", {1}), ("床单", {2}), ("瓷", {3}), ("sock", {4}), ("sneakers", {5}), ("shoe", {5})],
)
def test_a_single_character_and_a_related_word_find_what_they_mean(query: str, found: set[int]) -> None:
    search = TextSearch().fit(TEXTS)
    scores = search.scores([query])[0]
    assert set(np.nonzero(scores > 0)[0].tolist()) >= found
    assert int(scores.argmax()) in found


def test_names_count_more_and_nothing_found_is_nothing() -> None:
    search = TextSearch().fit(["tea shop near the station", "station hotel"], ["tea", "station"])
    assert search.scores(["station"])[0].argmax() == 1
    assert not search.scores(["", "zebra", "的"]).any()
    assert search.scores([]).shape == (0, 2)
    with pytest.raises(NotFittedError, match="had read"):
        TextSearch().scores(["tea"])


def test_meaning_joins_what_words_found() -> None:
    encoder = LexicalEncoder().fit(TEXTS)
    plain, both = TextSearch().fit(TEXTS), TextSearch(encoder=encoder).fit(TEXTS)
    cosines = np.maximum(encoder.encode(["茶杯"]) @ encoder.encode(TEXTS).T, 0)
    np.testing.assert_allclose(
        both.scores(["茶杯"]), plain.scores(["茶杯"]) + SearchSettings().meaning * cosines, rtol=1e-5
    )


def test_related_words_lead_to_each_other_and_never_to_themselves() -> None:
    for word in ("便宜", "温泉", "phone"):
        assert word not in related(word)
        assert all(word in related(other) for other in related(word))
    assert related("什么都不是") == ()


def test_a_wish_of_one_rare_character_is_answered_by_the_lexical_model() -> None:
    items = pl.DataFrame({"item_id": [f"i{row}" for row in range(len(TEXTS))], "title": TEXTS})
    events = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["i0", "i2"], "timestamp": [1.0, 2.0]})
    data = Dataset.assemble(events, items)
    model = Lexical().fit(data)
    scores = model.score(Queries(Histories.empty(2), text=("茶", "瓷碗")))
    at = data.item_ids.positions([f"i{row}" for row in range(len(TEXTS))])
    assert set(np.nonzero(scores[0, at] > 0)[0].tolist()) == {0, 1}
    assert int(scores[1, at].argmax()) == 3


def test_a_wish_in_english_is_read_as_a_text_is() -> None:
    vocabulary = Vocabulary.of(TEXTS, 1000)
    wish = ["wool socks", "trail", "nothing known"]
    np.testing.assert_allclose(vocabulary.wishes(wish).toarray(), vocabulary.matrix(wish).toarray(), atol=1e-6)


def test_sixty_questions_about_beijing() -> None:
    rows = places(shared_data("zh-beijing"))
    catalogue = catalogue_of(rows)
    asked = questions()
    answers = np.array([relevant(question, rows, catalogue) for question in asked])
    assert answers.any(axis=1).all()
    late = np.array([question.get("late", False) for question in asked])
    assert (~late).sum() == 60
    search = TextSearch().fit(item_texts(catalogue), catalogue.titles)
    found = ndcg(search.scores([question["text"] for question in asked]), answers)
    assert found[~late].mean() >= 0.70
    assert found[late].mean() >= 0.60


def test_a_source_answers_wishes_by_all_that_is_said_and_survives_the_disk() -> None:
    shop = small_shop()
    said = pl.Series("description", ["quite ordinary"] * (shop.n_items - 1) + ["smells of bergamot 佛手柑"])
    data = replace(shop, catalogue=Catalogue.of(shop.catalogue.frame.with_columns(said)))
    names, texts = Lexical().fit(data), Lexical(LexicalSettings(wishes="texts")).fit(data)
    again = Lexical(LexicalSettings(wishes="texts")).restore(texts.arrays())
    for wish in ("bergamot", "佛手"):
        asked = Queries(Histories.empty(1), k=1, text=(wish,))
        assert not names.score(asked).any()
        assert texts.score(asked)[0].argmax() == shop.n_items - 1 and texts.score(asked)[0].max() > 0
        np.testing.assert_array_equal(again.score(asked), texts.score(asked))


def test_texts_read_again_are_found_as_though_they_had_been_read_at_first() -> None:
    named = [text[:4] for text in TEXTS]
    whole = TextSearch().fit([*TEXTS, "茉莉花茶"], [*named, "花茶"])
    before = TextSearch().fit([*TEXTS[:2], "什么也没有", *TEXTS[3:]], named)
    known = before.scores(["茶"])
    grown = before.reread(np.array([6, 2], dtype=np.int32), ["茉莉花茶", TEXTS[2]], ["花茶", named[2]])
    for query in ("茶", "纯棉四件套", "running shoes", "茉莉"):
        np.testing.assert_allclose(grown.scores([query]), whole.scores([query]), rtol=1e-5)
    np.testing.assert_array_equal(before.scores(["茶"]), known, "the search it was made from goes on as before")


def test_a_catalogue_in_chinese_is_searched_by_all_that_is_said() -> None:
    frame = pl.DataFrame(
        {"item_id": ["a", "b"], "title": ["北京饭店", "全聚德烤鸭店"], "description": ["有游泳池", ""]}
    )
    data = Dataset.assemble(pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "position": [0]}), frame)
    asked = Queries(Histories.empty(1), k=1, text=("游泳",))
    assert Lexical().fit(data).score(asked)[0].argmax() == data.item_ids.position("a")
    assert Lexical().fit(data).score(asked).any()
    assert not Lexical(LexicalSettings(wishes="names")).fit(data).score(asked).any()
