"""Baskets are completed, knowledge reaches what nobody bought, and people are told what is due."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate.core import DataError, Histories, Queries, Scorer
from palate.data import Dataset
from palate.data.baskets import open_visit
from palate.data.triples import read_triples
from palate.models.baskets import BasketCompletion, BasketSettings
from palate.models.knowledge import Knowledge, KnowledgeSettings
from palate.models.repeats import Repeats
from palate.testing import RecommenderConformance

DAY = 86_400.0


def grocer(visits: int = 400, seed: int = 0) -> Dataset:
    """Baskets of three from one of six meals of five things each; everybody keeps to two meals, and comes weekly."""
    random = np.random.default_rng(seed)
    rows = []
    for visit in range(visits):
        user = visit % 40
        meal = int(random.choice([user % 6, (user + 1) % 6]))
        when = 1.6e9 + DAY * 7 * (visit // 40) + 60.0 * user
        things = random.choice(5, size=3, replace=False)
        rows += [(f"u{user}", f"m{meal}t{thing}", when, f"b{visit}") for thing in things]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "basket_id"], orient="row")
    items = events.select("item_id").unique().with_columns(category=pl.col("item_id").str.head(2))
    return Dataset.from_frames(events, items, name="grocer")


class TestBaskets(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return BasketCompletion()


class TestBasketsOfInvoices(RecommenderConformance):
    """With real baskets, whose weights are learnt."""

    def make(self) -> Scorer[Dataset]:
        return BasketCompletion(BasketSettings(questions=200))

    def dataset(self) -> Dataset:
        whole = grocer()
        items = pl.concat([whole.catalogue.frame, pl.DataFrame({"item_id": ["never"], "category": ["m0"]})])
        frame = whole.events.select(
            user_id=pl.Series(whole.user_ids.names).gather(whole.events["user"]),
            item_id=pl.Series(whole.item_ids.names).gather(whole.events["item"]),
            timestamp="time",
            basket_id="basket_id",
        )
        return Dataset.from_frames(frame, items)


class TestKnowledge(RecommenderConformance):
    def make(self) -> Scorer[Dataset]:
        return Knowledge()


def test_the_rest_of_a_meal_completes_a_basket() -> None:
    dataset = grocer()
    model = BasketCompletion().fit(dataset)
    ids = dataset.item_ids
    basket = [ids.position("m2t0"), ids.position("m2t1")]
    queries = Queries(Histories.of([[ids.position("m0t0"), *basket]]), k=3, session=np.array([2], dtype=np.int32))
    assert sorted(ids.externals(model.recommend(queries).row(0).tolist())) == ["m2t2", "m2t3", "m2t4"]
    before = Queries(queries.history, k=3, session=np.array([0], dtype=np.int32))
    assert not np.array_equal(model.score(before), model.score(queries))
    assert model.weights["basket"] > 0


def test_a_visit_is_what_lies_less_than_half_an_hour_apart() -> None:
    times = [[0.0, 5_000.0, 5_600.0], [0.0, 100.0], [float("nan")], []]
    history = Histories.of([[1, 2, 3], [1, 2], [1], []], times)
    assert open_visit(history, None).tolist() == [2, 2, -1, 0]
    assert open_visit(history, np.array([6_000.0, 9_000.0, 0.0, 0.0])).tolist() == [2, 0, -1, 0]


def shop() -> Dataset:
    """Phones and cases nobody ever bought together, and one charger that nobody bought at all."""
    items = pl.DataFrame(
        {
            "item_id": ["p1", "p2", "c1", "c2", "charger", "pan"],
            "category": ["Tech > Phones", "Tech > Phones", "Tech > Cases", "Tech > Cases", None, "Kitchen"],
            "brand": ["Alma", "Boro", "Alma", "Boro", None, "Alma"],
        }
    )
    events = pl.DataFrame(
        {"user_id": ["a", "b", "c", "d", "e"], "item_id": ["p1", "p2", "c1", "c2", "pan"], "timestamp": [1.6e9] * 5}
    )
    return Dataset.from_frames(events, items)


def best(model: Knowledge, dataset: Dataset, item: str, k: int) -> list[str]:
    answer = model.recommend(Queries.of([[dataset.item_ids.position(item)]], k=k))
    return dataset.item_ids.externals(answer.row(0)[answer.scores[0] > 0].tolist())


def test_rules_and_triples_reach_what_nobody_bought(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text(
        "# 手机配手机壳\nPhones -> Cases\ncategory:Tech > Phones -> charger = 0.5\np1, fits_into, usb-c, 2\n"
        "charger, fits_into, usb-c\nFones -> Cases\n",
        encoding="utf-8",
    )
    dataset = shop()
    model = Knowledge(KnowledgeSettings(file=str(file))).fit(dataset)
    assert set(best(model, dataset, "p1", 3)) == {"c1", "c2", "charger"}
    assert "'Fones' (line 6)" in model.notes[0]
    assert "usb-c" not in model.notes[0]
    plain = Knowledge().fit(dataset)
    assert best(plain, dataset, "p1", 1) == ["p2"]
    assert "charger" not in best(plain, dataset, "p1", 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [("a, b\n", "line 1"), ("a -> b = much\n", "weight 'much'"), ("a, r, b, -1\n", "above 0")],
)
def test_lines_that_cannot_be_read_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "known.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_triples(file)
    with pytest.raises(DataError, match="nowhere"):
        read_triples(tmp_path / "nowhere.txt")


def test_triples_are_read_in_every_form(tmp_path: Path) -> None:
    lines = tmp_path / "known.jsonl"
    lines.write_text('{"subject": "a", "relation": "goes_with", "object": "b"}\n', encoding="utf-8")
    table = tmp_path / "known.tsv"
    table.write_text("subject\trelation\tobject\na\tmade by\tb\t0.5\n\n", encoding="utf-8")
    assert [tuple(triple)[:4] for triple in read_triples(lines)] == [("a", "->", "b", 1.0)]
    assert [tuple(triple)[:4] for triple in read_triples(table)] == [("a", "made by", "b", 0.5)]


def regulars() -> Dataset:
    """Milk every week, soap every two months, and a lamp once."""
    rows = [(f"u{user}", "lamp", float(user)) for user in range(30)]
    for user in range(30):
        rows += [(f"u{user}", "milk", day + user / 30) for day in range(0, 360, 7)]
        rows += [(f"u{user}", "soap", day + user / 30) for day in range(3, 360, 60)]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "day"], orient="row")
    return Dataset.from_frames(frame.select("user_id", "item_id", timestamp=1.6e9 + DAY * pl.col("day")))


def test_what_is_due_comes_first() -> None:
    dataset = regulars()
    model = Repeats().fit(dataset)
    milk, soap, lamp = (dataset.item_ids.position(name) for name in ("milk", "soap", "lamp"))

    def scores(days_since_milk: float, days_since_soap: float) -> np.ndarray:
        times = [[1.6e9, 1.6e9 + DAY * (400 - days_since_soap), 1.6e9 + DAY * (400 - days_since_milk)]]
        history = Histories.of([[lamp, soap, milk]], times)
        found: np.ndarray = model.score(Queries(history, mask_seen=False, when=np.array([1.6e9 + DAY * 400])))[0]
        return found

    assert scores(7, 20)[milk] > scores(7, 20)[soap] > scores(7, 20)[lamp]
    assert scores(2, 59)[soap] > scores(2, 59)[milk]
    assert scores(7, 20)[lamp] < 0.01 * scores(7, 20)[milk]
