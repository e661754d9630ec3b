"""The log of decisions: every price can be done again to the bit, and no bit of it can be changed unseen."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.core import ArtefactError
from palate.data.log_rows import check
from palate.pricing.asking import Question
from palate.pricing.beliefs import Believed, believed, earlier, keep, kept
from palate.pricing.configuration import Input, PricingSettings
from palate.pricing.deciding import Outcome, Way, decide, generator_of
from palate.pricing.decisions import Decision, DecisionLog, repeat, replayed
from palate.pricing.demand import DemandSettings, LogitDemand
from palate.pricing.guardrails import GuardSettings
from palate.pricing.quoting import Quoter, opened, versions_beside
from palate.pricing.settings import PolicySettings
from palate.privacy import Vault
from tests.pricing_world import Broken, Clock, Drawn, Nearest, shop

INPUTS = (
    Input(name="loyalty"),
    Input(name="stock", source="item"),
    Input(name="hour_sin", source="clock"),
    Input(name="list", source="list"),
)
SETTINGS = PricingSettings(enabled=True, inputs=INPUTS, guard=GuardSettings(ending=".99", highest=1.2))
PLACES = ("DE", "US-NY", "CN", "", "US-MD")


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = Vault(tmp_path / "vault.sqlite")
    yield vault
    vault.close()


def busy(folder: Path, vault: Vault, count: int = 60, policy: object = None) -> Quoter:
    """A quoter that has answered many questions of all sorts."""
    clock, catalogue = Clock(), shop()
    quoter = opened(
        lambda: catalogue, SETTINGS, Believed(policy or Drawn(), "m1"), vault, folder, clock=clock  # type: ignore[arg-type]
    )  # fmt: skip
    for number in range(count):
        clock.now += 400.0
        items = tuple(f"i{(number * 7 + step) % 205}" for step in range(1 + number % 3))
        person = vault.pseudonym(f"u{number % 11}") if number % 4 else ""
        told = {"loyalty": (number % 5) / 10}
        place, consent = PLACES[number % 5], number % 3 > 0
        quoter.quote(Question(items, person, None, told, f"s{number % 6}", "", place, consent))
    quoter.log.log.flush()
    return quoter


def test_every_decision_is_the_same_when_done_again(tmp_path: Path, vault: Vault) -> None:
    quoter = busy(tmp_path, vault)
    rules = quoter.log.rules()
    results = [repeat(decision, rules, lambda version: Drawn()) for decision in quoter.log.decisions()]
    assert len(results) == 60
    assert [result.problem for result in results if not result.same] == []
    quoter.close()


def test_another_policy_comes_to_other_prices_and_is_found_out(tmp_path: Path, vault: Vault) -> None:
    quoter = busy(tmp_path, vault)
    rules = quoter.log.rules()
    results = [repeat(decision, rules, lambda version: Nearest(0.8)) for decision in quoter.log.decisions()]
    assert sum(not result.same for result in results) > 30
    different = next(result for result in results if not result.same)
    assert " was " in different.problem and " is " in different.problem
    quoter.close()


def test_what_is_read_back_is_what_was_written(tmp_path: Path, vault: Vault) -> None:
    quoter = busy(tmp_path, vault)
    for decision in quoter.log.decisions():
        found = quoter.log.find(decision.case.id)
        assert found is not None
        for each in fields(Outcome):
            np.testing.assert_array_equal(getattr(found.outcome, each.name), getattr(decision.outcome, each.name))
        row = quoter.log.log.find("price", decision.case.id)
        assert row is not None
        again = Decision.read(replace(row))
        assert again.items == decision.items and again.facts == decision.facts
        np.testing.assert_array_equal(again.case.features, decision.case.features)
        assert again.case.features.dtype == np.float32
    assert quoter.log.find("q_" + "0" * 32) is None
    quoter.close()


def test_personal_inputs_lie_sealed_and_go_with_the_key(tmp_path: Path, vault: Vault) -> None:
    clock, catalogue = Clock(), shop()
    quoter = opened(lambda: catalogue, SETTINGS, Believed(Nearest(pull=-0.02), "m1"), vault, tmp_path, clock=clock)
    person = vault.pseudonym("somebody@example.org")
    quote = quoter.quote(Question(("i7",), person, told={"loyalty": 0.4375}, jurisdiction="US-NY", consent=True))
    assert quote.lines[0].personal
    quoter.log.log.flush()
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("prices.sqlite*"))
    assert b"0.4375" not in raw and b"somebody@example.org" not in raw
    decision = quoter.log.find(quote.decision_id)
    assert decision is not None and decision.case.features[0, 0] == np.float32(0.4375)
    vault.erase(person)
    gone = quoter.log.find(quote.decision_id)
    assert gone is not None and gone.erased and np.isnan(gone.case.features[0, 0])
    assert gone.outcome.price[0] == quote.lines[0].price, "what was asked is not the person's secret"
    result = repeat(gone, quoter.log.rules(), lambda version: Nearest(pull=-0.02))
    assert not result.same and "erased" in result.problem
    assert quoter.log.log.verify().ok, "the chain stays whole"
    quoter.close()
    assert replayed(tmp_path / "prices.sqlite", vault, lambda version: Nearest(pull=-0.02))[:2] == (0, 1)


def test_without_consent_no_personal_input_is_even_written(tmp_path: Path, vault: Vault) -> None:
    quoter = opened(shop, SETTINGS, Believed(Nearest(), "m1"), vault, tmp_path, clock=Clock())
    quote = quoter.quote(Question(("i7",), vault.pseudonym("ann"), told={"loyalty": 0.4375}))
    quoter.log.log.flush()
    row = quoter.log.log.find("price", quote.decision_id)
    assert row is not None and row.personal is None and "0.4375" not in str(row.body)
    quoter.close()


def test_any_single_bit_that_changes_is_found(tmp_path: Path, vault: Vault) -> None:
    """Every bit of every column of one row, and some of each row, one at a time."""
    busy(tmp_path, vault, count=6).close()
    path = tmp_path / "prices.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = db.execute("SELECT seq, id, subject, body, sealed, hash FROM log ORDER BY seq").fetchall()
    seqs = [row[0] for row in rows]
    assert len(rows) == 7 and any(row[4] for row in rows)
    generator = np.random.default_rng(7)
    missed = []
    changed = tmp_path / "changed.sqlite"
    shutil.copy(path, changed)
    with closing(sqlite3.connect(changed, isolation_level=None)) as db:
        db.execute("DROP TRIGGER log_is_append_only")
        db.execute("BEGIN")  # one transaction, never committed: no change waits for the disk
        for seq, *values in rows:
            for column, value in zip(("id", "subject", "body", "sealed", "hash"), values, strict=True):
                if not value:
                    continue
                data = value.encode() if isinstance(value, str) else value
                bits = len(data) * 8
                every = column != "body" or seq == seqs[3]
                for bit in range(bits) if every else generator.integers(0, bits, 6).tolist():
                    damaged = bytearray(data)
                    damaged[bit // 8] ^= 1 << bit % 8
                    other: bytes | str = bytes(damaged)
                    if isinstance(value, str):
                        if bit % 8 == 7:  # no longer text, and refused by SQLite itself
                            continue
                        other = bytes(damaged).decode()
                    db.execute(f"UPDATE log SET {column} = ? WHERE seq = ?", (other, seq))  # noqa: S608
                    if check(db, None).ok:
                        missed.append((seq, column, bit))
                    db.execute(f"UPDATE log SET {column} = ? WHERE seq = ?", (value, seq))  # noqa: S608
        assert check(db, None).ok, "all was put back"
    assert missed == []


def test_a_removed_decision_is_found(tmp_path: Path, vault: Vault) -> None:
    quoter = busy(tmp_path, vault, count=6)
    head = quoter.log.log.head()
    quoter.close()
    with closing(sqlite3.connect(tmp_path / "prices.sqlite", isolation_level=None)) as db:
        db.execute("DROP TRIGGER log_keeps_its_rows")
        db.execute("DELETE FROM log WHERE seq = 7")
        assert check(db, None).ok, "nothing follows it"
        assert "ends at row 6" in check(db, head).problem
        db.execute("DELETE FROM log WHERE seq = 3")
        assert "rows 3 to 3 are missing" in check(db, None).problem


def test_old_decisions_go_and_the_chain_stays(tmp_path: Path, vault: Vault) -> None:
    clock, catalogue = Clock(), shop()
    few = SETTINGS.model_copy(update={"max_decisions": 50, "remembered_quotes": 0})
    quoter = opened(lambda: catalogue, few, Believed(Drawn(), "m1"), vault, tmp_path, clock=clock)
    for number in range(300):  # a commit each, so that retention is looked at
        quoter.quote(Question((f"i{number % 200}",)))
        quoter.log.log.flush()
    decisions = list(quoter.log.decisions())
    assert 50 <= len(decisions) < 200
    assert quoter.log.log.verify().ok
    quoter.close()


def test_a_decision_draws_by_its_id_and_nothing_else() -> None:
    ids = [f"q_{number:032x}" for number in (1, 2, 2**127)]
    first = [generator_of(name).random(4).tolist() for name in ids]
    assert first == [generator_of(name).random(4).tolist() for name in ids]
    assert len({tuple(row) for row in first}) == 3


def test_a_policy_that_fails_sells_at_list_prices(tmp_path: Path, vault: Vault) -> None:
    quoter = busy(tmp_path, vault, count=10, policy=Broken())
    for decision in quoter.log.decisions():
        known = np.isfinite(decision.outcome.price)
        np.testing.assert_array_equal(decision.outcome.price[known], decision.case.rails.list_price[known])
        assert not any(decision.personal)
        assert repeat(decision, quoter.log.rules(), lambda version: Broken()).same
    quoter.close()


def learnt(rows: int = 400) -> LogitDemand:
    generator = np.random.default_rng(3)
    names = tuple(each.name for each in INPUTS)
    features = generator.normal(size=(rows, len(names))).astype(np.float32)
    relative = generator.uniform(0.7, 1.1, rows)
    bought = (generator.random(rows) < 0.3).astype(np.float32)
    return LogitDemand.prior(names, DemandSettings(), features).learn(features, relative, bought)


@pytest.mark.parametrize("kind", ["fixed", "cost_plus", "greedy", "thompson", "ucb"])
def test_the_belief_of_then_prices_as_then(tmp_path: Path, vault: Vault, kind: str) -> None:
    """A quoter is closed, its belief moves on, and the old decisions are done again by the kept version."""
    old = kept(PolicySettings(kind=kind), learnt() if kind in ("greedy", "thompson", "ucb") else None)
    catalogue = shop()
    quoter = opened(lambda: catalogue, SETTINGS, old, vault, tmp_path, clock=Clock())
    for number in range(30):
        quoter.quote(Question((f"i{number}",), vault.pseudonym(f"u{number % 3}"), told={"loyalty": 0.2}, consent=True))
    quoter.change(kept(PolicySettings(kind="fixed", factor=0.8), None))
    quoter.quote(Question(("i99",)))
    quoter.close()
    same, erased, others = replayed(
        tmp_path / "prices.sqlite", vault, earlier(versions_beside(tmp_path / "prices.sqlite"))
    )
    assert (same, erased, [each.problem for each in others]) == (31, 0, [])
    _, _, lost = replayed(tmp_path / "prices.sqlite", vault, lambda version: None)
    assert len(lost) == 31 and "is not here" in lost[0].problem


def test_a_version_is_of_everything_it_depends_on(tmp_path: Path) -> None:
    demand = learnt()
    versions = {
        kept(PolicySettings(kind="thompson"), demand).version,
        kept(PolicySettings(kind="greedy"), demand).version,
        kept(PolicySettings(kind="thompson", draws=8), demand).version,
        kept(PolicySettings(kind="thompson"), learnt(401)).version,
    }
    assert len(versions) == 4
    assert kept(PolicySettings(kind="thompson"), learnt()).version in versions
    what = kept(PolicySettings(kind="thompson"), demand)
    keep(what, tmp_path)
    keep(what, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [what.version]
    assert earlier(tmp_path)("../" + what.version) is None


def test_a_belief_of_other_inputs_is_refused(tmp_path: Path) -> None:
    what = kept(PolicySettings(kind="greedy"), learnt())
    keep(what, tmp_path)
    folder = str(tmp_path / what.version)
    greedy = PolicySettings(kind="greedy")
    fitting = SETTINGS.model_copy(update={"policy": greedy, "belief": folder})
    assert believed(fitting).version == what.version
    with pytest.raises(ArtefactError, match="declares none"):
        believed(PricingSettings(enabled=True, policy=greedy, belief=folder))


@settings(max_examples=25)
@given(data=st.data())
def test_rounding_to_json_and_back_changes_no_decision(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Odd numbers of every size survive the log."""
    folder = tmp_path_factory.mktemp("odd")
    vault = Vault(folder / "vault.sqlite")
    loyalty = data.draw(st.floats(-(2.0**99), 2.0**99, width=32))
    quoter = opened(shop, SETTINGS, Believed(Drawn(), "m1"), vault, folder, clock=Clock(data.draw(st.floats(1e9, 2e9))))
    quote = quoter.quote(
        Question(("i3", "i9"), vault.pseudonym("ann"), told={"loyalty": loyalty}, jurisdiction="DE", consent=True)
    )
    decision = quoter.log.find(quote.decision_id)
    assert decision is not None
    assert repeat(decision, quoter.log.rules(), lambda version: Drawn()).same
    assert decide(decision.case, Way(Drawn(), SETTINGS.guard, SETTINGS.rungs)).price.tolist() == [
        line.price for line in quote.lines
    ]
    quoter.close()
    vault.close()


def test_a_log_that_cannot_be_opened_says_so(tmp_path: Path, vault: Vault) -> None:
    (tmp_path / "prices.sqlite").write_text("this is no database at all, and long enough to be one" * 30)
    with pytest.raises(ArtefactError, match="not a usable event log"):
        DecisionLog(tmp_path / "prices.sqlite", vault, keep_days=365, max_decisions=10, clock=Clock())
