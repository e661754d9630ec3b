"""Data with little in it, without words, or in Chinese."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, UsageError
from palate.data import Catalogue, Dataset
from palate.engine import Engine, EngineSettings
from palate.engine.settings import ModelSettings
from palate.models.als import ALSSettings
from palate.testing import small_shop
from tests.chinese_shop import chinese_items
from tests.engine_world import ids, wordless

WISH = "购买了智能手机和耳机，浏览了平板电脑和智能手表的页面"


def events(*pairs: tuple[str, str]) -> pl.DataFrame:
    rows = [(user, item, 1.7e9 + 3600.0 * place) for place, (user, item) in enumerate(pairs)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")


def test_events_alone_make_an_engine_that_learns() -> None:
    data = wordless()
    engine = Engine.fit(data)
    assert engine.kind == "features"
    assert engine.pipeline.ranker is not None
    assert {"semantic", "lexical"}.isdisjoint(engine.sources)
    assert any("no text" in note for note in engine.notes)
    halves = []
    for user in range(40):
        answer = engine.recommend(f"u{user}", k=5, explain=True)
        halves += [(int(item.item[1:]) >= 20) == (user % 2 == 1) for item in answer.items]
        assert all(item.reasons for item in answer.items)
    assert np.mean(halves) > 0.9  # by chance it would be half
    assert engine.similar("i3", k=3).items
    assert ids(engine.recommend("u1", text="a wish nobody reads", k=5)) == ids(engine.recommend("u1", k=5))
    weights = engine.pipeline.weights
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-5)


def test_a_new_item_without_words_can_be_taken_in_and_shown() -> None:
    engine = Engine.fit(wordless())
    engine.update(items=[{"item_id": "new", "title": "A thing with words"}])
    assert "new" in ids(engine.recommend("u1", k=100))
    engine.update(events=[{"user_id": "x", "item_id": "new", "kind": "purchase"}])
    assert engine.recommend("x", k=5).items


def test_too_few_questions_leave_the_weights_to_rank() -> None:
    data = Dataset.from_frames(events(*((f"u{n % 6}", f"i{n * 7 % 9}") for n in range(40))))
    engine = Engine.fit(data)
    assert engine.pipeline.ranker is None
    assert any("too few to teach a ranker" in note for note in engine.notes)
    answer = engine.recommend("u1", k=4, explain=True)
    assert (answer.source, answer.degraded) == ("weights", False)
    assert len(answer.items) == 4
    told = engine.explain(answer.items[0].item, "u1")
    assert told.score == pytest.approx(answer.items[0].score, abs=1e-5)
    assert engine.describe()["trees"] == 0


@pytest.mark.parametrize(
    "pairs",
    [
        (("only", "a"), ("only", "b"), ("only", "c")),
        (("u", "a"), ("v", "a"), ("w", "a")),
        (("u", "a"), ("u", "b")),
        (("u", "a"), ("v", "b")),
        (("u", "a"),),
    ],
    ids=["one user", "one item", "two events of one", "two events of two", "one event"],
)
def test_the_smallest_data_is_answered_from(pairs: tuple[tuple[str, str], ...]) -> None:
    data = Dataset.from_frames(events(*pairs))
    engine = Engine.fit(data)
    for user in [*data.user_ids.names, "nobody", None]:
        answer = engine.recommend(user, k=10, explain=True)
        assert not answer.degraded
        assert set(ids(answer)) <= set(data.item_ids.names)
    assert len(engine.recommend(k=10).items) == data.n_items
    assert len(engine.similar(data.item_ids[0]).items) == data.n_items - 1
    assert engine.explain(data.item_ids[0]).item == data.item_ids[0]


def test_no_events_are_refused_in_words() -> None:
    with pytest.raises(DataError, match="no events"):
        Dataset.assemble(events())
    with pytest.raises(UsageError, match="unknown preset"):
        Engine.fit(wordless(), preset="slow")
    with pytest.raises(UsageError, match="none of the sources"):
        Engine.fit(wordless(), settings=EngineSettings(sources=("lexical",)))
    with pytest.raises(UsageError, match="unknown model"):
        Engine.fit(wordless(), settings=EngineSettings(sources=("oracle",)))


def test_searches_alone_are_no_evidence() -> None:
    frame = events(("u", "a"), ("v", "b")).with_columns(
        item_id=pl.lit(None, dtype=pl.String), kind=pl.lit("search"), text=pl.lit("tea")
    )
    items = pl.DataFrame({"item_id": ["a", "b"], "price": [1.0, 2.0]})
    with pytest.raises(DataError, match="none of the 2 events shows interest"):
        Engine.fit(Dataset.from_frames(frame, items))


@pytest.fixture(scope="module")
def chinese() -> Engine:
    items = chinese_items()
    random = np.random.default_rng(11)
    names = items["item_id"].to_list()
    pairs = [(f"u{random.integers(150)}", names[int(random.integers(len(names)))]) for _ in range(900)]
    settings = EngineSettings(models=ModelSettings(als=ALSSettings(factors=16)))
    return Engine.fit(Dataset.from_frames(events(*pairs), items), settings=settings)


@pytest.mark.parametrize("user", [None, "u3", "u77"])
def test_behaviour_in_chinese_words_finds_gadgets(chinese: Engine, user: str | None) -> None:
    assert "encoder lexical" in chinese.notes[0]
    answer = chinese.recommend(user, text=WISH, k=10, explain=True, language="zh")
    assert len(answer.items) == 10
    assert all(item.item.startswith("g") for item in answer.items), [item.properties["title"] for item in answer.items]
    assert all(item.reasons[0].text == "符合你的描述" for item in answer.items)


def test_chinese_words_are_told_in_either_language_where_there_are_no_others(chinese: Engine) -> None:
    for language, start in (("zh", "共同的词：智能手机"), ("en", "Shares the word")):
        answer = chinese.recommend(text="智能手机", k=3, explain=True, language=language)
        assert all(item.reasons[1].text.startswith(start) for item in answer.items)


def test_a_new_chinese_item_is_wished_for_at_once(chinese: Engine) -> None:
    engine = Engine(chinese.dataset, chinese.settings, chinese.assembled)
    engine.update(items=[{"item_id": "g900", "title": "极光星 折叠屏智能手机 暮紫", "category": "数码 > 智能手机"}])
    assert ids(engine.recommend(text="折叠屏智能手机", k=3))[0] == "g900"
    assert ids(engine.similar("g900", k=1))[0].startswith("g")


def test_data_without_text_takes_the_branch_of_features_and_says_so() -> None:
    data = small_shop()
    plain = Catalogue(data.catalogue.ids, data.catalogue.frame.select("item_id", "category", "price"))
    engine = Engine.fit(replace(data, catalogue=plain))
    assert engine.kind == "features"
    assert "interest" in engine.sources
    assert not {"semantic", "lexical"} & set(engine.sources)
    assert "engineered features" in engine.describe()["branch_reason"]
    user = data.user_ids[0]
    assert engine.portrait(user, "en").sentence.endswith(".")
    assert engine.portrait(user, "zh").sentence.endswith("。")
    kind = plain.strings("category")[0]
    engine.update(items=[{"item_id": "brand-new", "category": kind}])
    assert "brand-new" in [item.item for item in engine.recommend(history=[plain.ids[0]], k=len(plain)).items]
