"""Complements and substitutes told apart: against the demo shop's truth, by hand, and in words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from palate.core import UsageError
from palate.data import Dataset
from palate.engine import Engine
from palate.ranking.relations import Company, Relations, RelationSettings
from palate.ranking.rules import RuleSettings
from tests.engine_world import dataset, fitted, fresh, ids, same, shop, wordless

DAY = 86_400.0


def truth() -> tuple[dict[str, set[str]], dict[str, int]]:
    """What really completes each item of the demo shop, and the section each stands in."""
    names = shop().items["item_id"].to_list()
    goes_with = {
        name: {names[other] for other in row if other >= 0}
        for name, row in zip(names, shop().truth.complements.tolist(), strict=True)
    }
    return goes_with, dict(zip(names, shop().truth.item_section.tolist(), strict=True))


def share(engine: Engine, kind: str, holds: Callable[[str, str], bool], k: int = 4) -> float:
    """Share of what is listed for all items of which something holds."""
    pairs = [
        holds(item, other) for item in engine.catalogue.ids.names for other in ids(engine.similar(item, k=k, kind=kind))
    ]
    assert len(pairs) > 100
    return float(np.mean(pairs))


def test_complements_are_the_true_ones_far_more_often_than_by_chance_or_by_likeness() -> None:
    goes_with, _ = truth()
    by_chance = np.mean([len(others) for others in goes_with.values()]) / (len(goes_with) - 1)
    found, plain = (
        share(fitted(), kind, lambda item, other: other in goes_with[item]) for kind in ("complement", "any")
    )
    assert found > 15 * by_chance
    assert found > 3 * plain


def test_substitutes_come_from_the_same_section_and_complete_nothing() -> None:
    goes_with, section = truth()
    engine = fitted()
    alike, plain = (
        share(engine, kind, lambda item, other: section[item] == section[other]) for kind in ("substitute", "any")
    )
    assert alike > 0.95
    assert alike > plain + 0.2
    assert share(engine, "substitute", lambda item, other: other in goes_with[item]) < 0.01


@pytest.mark.parametrize("kind", ["complement", "substitute"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_evidence_is_counted_in_words(kind: str, language: str) -> None:
    engine = fitted()
    told = [
        reason
        for name in engine.catalogue.ids.names[:60]
        for item in engine.similar(name, 3, kind=kind, language=language).items
        for reason in item.reasons
    ]
    assert told
    assert all(reason.kind == kind and 0 <= reason.weight <= 1 for reason in told)
    assert any(letter.isdigit() for reason in told for letter in reason.text)
    chinese = [any("\u4e00" <= letter <= "\u9fff" for letter in reason.text) for reason in told]
    assert all(chinese) if language == "zh" else not any(chinese)


def small(rows: list[tuple[str, str, float, str]], categories: dict[str, str]) -> Dataset:
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "kind"], orient="row")
    items = pl.DataFrame({"item_id": list(categories), "category": list(categories.values())})
    return Dataset.assemble(events, items)


def visits() -> Dataset:
    """Six people look at two phones, take one, take a case with it, and a charger ten days later."""
    rows = []
    for user in range(6):
        own, start = f"u{user}", 1.7e9 + 40 * DAY * user
        taken, other = ("phone-a", "phone-b") if user % 2 else ("phone-b", "phone-a")
        rows += [
            (own, other, start, "view"),
            (own, taken, start + 60, "purchase"),
            (own, "case", start + 90, "purchase"),
        ]
        rows += [(own, "charger", start + 10 * DAY, "purchase"), (own, "kettle", start + 200 * DAY, "purchase")]
    categories = {"phone-a": "Phones", "phone-b": "Phones", "case": "Cases", "charger": "Power", "kettle": "Kitchen"}
    return small(rows, categories)


def test_company_is_counted_by_hand() -> None:
    data = visits()
    a, b, case, charger, kettle = (
        data.item_ids.position(name) for name in ("phone-a", "phone-b", "case", "charger", "kettle")
    )
    company = Company.of(data, RelationSettings())
    assert company.together[a, case] == company.together[case, a] == 3
    assert company.beside[a, b] == company.beside[b, a] == 6
    assert company.beside[a, case] == 3
    assert company.after[a, charger] == 3
    assert company.after[case, charger] == 6
    assert company.after[charger, a] == company.after[a, kettle] == company.together[a, b] == 0


def test_one_kind_is_compared_and_another_kind_accompanies() -> None:
    data = visits()
    relations = relations_of(data)
    phone, other, case = (data.item_ids.position(name) for name in ("phone-a", "phone-b", "case"))
    instead = relations.of_item(phone, "substitute")
    assert np.nonzero(np.isfinite(instead.score))[0].tolist() == [other]
    assert instead.beside[other] == 6
    beside = relations.of_item(phone, "complement").score
    assert beside[other] == beside[phone] == -np.inf
    assert int(np.argmax(relations_of(data, RelationSettings(lift=0.0)).of_item(phone, "complement").score)) == case


def relations_of(data: Dataset, own: RelationSettings | None = None) -> Relations:
    own = own or RelationSettings()
    nothing = np.zeros((data.n_items, 0), dtype=np.float32)
    return Relations.of(Company.of(data, own), data.catalogue, nothing, own)


def test_a_person_is_one_witness_however_often_they_come() -> None:
    data = visits()
    again = data.events.with_columns(time=pl.col("time") + 400 * DAY)
    events = pl.concat([data.events, again]).sort(["user", "time"], maintain_order=True)
    twice = Dataset(events, data.user_ids, data.catalogue)
    once, more = (Company.of(entry, RelationSettings()) for entry in (data, twice))
    np.testing.assert_array_equal(once.together.toarray(), more.together.toarray())


def test_events_of_one_kind_without_times_or_a_catalogue() -> None:
    """Order alone: what follows is followed, and things with the same followers stand for each other."""
    rows = [(f"u{user}", ("a", "b")[user % 2], None, "purchase") for user in range(10)]
    events = pl.DataFrame(
        {
            "user_id": [row[0] for row in rows] * 3,
            "item_id": [row[1] for row in rows] + ["c"] * 10 + ["d"] * 10,
            "position": [place for place in range(3) for _ in rows],
        }
    )
    data = Dataset.assemble(events)
    a, b, c, d = (data.item_ids.position(name) for name in "abcd")
    company = Company.of(data, RelationSettings())
    assert company.after[a, c] == company.after[b, d] == 5
    assert not company.together.nnz
    instead = relations_of(data).of_item(a, "substitute").score
    assert int(np.argmax(instead)) == b
    assert instead[d] == -np.inf


def test_without_a_catalogue_the_engine_still_tells() -> None:
    engine = Engine.fit(wordless())
    answers = [
        engine.similar(name, 3, kind=kind)
        for name in engine.catalogue.ids.names
        for kind in ("complement", "substitute")
    ]
    assert not any(answer.degraded for answer in answers)
    assert any(answer.items for answer in answers)


def test_rules_hold_and_lists_are_as_long_as_the_evidence() -> None:
    dear = {"price": {"lte": 30}}
    engine = fresh(rules=RuleSettings(allow=dear))
    listed = [item for name in engine.catalogue.ids.names for item in engine.similar(name, 5, kind="substitute").items]
    assert listed
    assert all(item.properties["price"] <= 30 for item in listed)
    assert all(len(engine.similar(name, 200, kind="complement").items) < 30 for name in engine.catalogue.ids.names)


def test_items_that_came_since_have_substitutes_but_no_evidence() -> None:
    engine = fresh()
    row = engine.catalogue.properties(3)
    new = {"item_id": "new-1", "title": row["title"], "category": row["category"], "price": row["price"]}
    before = engine.similar(row["item_id"], 4, kind="complement")
    engine.update(items=[new])
    assert row["item_id"] in ids(engine.similar("new-1", 20, kind="substitute"))
    assert not engine.similar("new-1", kind="complement").items
    assert ids(engine.similar(row["item_id"], 4, kind="complement")) == ids(before)


def test_a_saved_engine_relates_alike(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("PALATE_VAULT", str(tmp_path / "vault"))
    engine = fitted()
    engine.save(tmp_path / "engine")
    loaded = Engine.load(tmp_path / "engine")
    for name in engine.catalogue.ids.names[:10]:
        for kind in ("complement", "substitute"):
            assert same(loaded.similar(name, kind=kind), engine.similar(name, kind=kind))


def test_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="any, complement or substitute"):
        fitted().similar(dataset().item_ids[0], kind="opposite")
