"""The event log: append-only, idempotent, chained, and silent about who."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate.core import ArtefactError
from palate.data.event_log import Entry, EventLog, EventLogSettings, Head, LogFullError
from palate.privacy import Vault


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault.sqlite")


@pytest.fixture
def log(tmp_path: Path, vault: Vault) -> Iterator[EventLog]:
    with EventLog(tmp_path / "events.sqlite", vault, clock=Clock()) as log:
        yield log


def event(name: str, person: str = "p_a", item: str = "i1", **personal: Any) -> Entry:
    return Entry("event", name, person, {"item_id": item, "kind": "click"}, personal or None)


def test_rows_come_back_in_order_with_their_payloads(log: EventLog) -> None:
    assert log.commit([event("e1", text="red lipstick"), event("e2", "p_b")]).result() == [True, True]
    first, second = log.replay()
    assert (first.seq, first.id, first.subject, first.personal) == (1, "e1", "p_a", {"text": "red lipstick"})
    assert (second.seq, second.personal, second.erased) == (2, None, False)
    assert first.time == 1_700_000_000.0
    assert [row.id for row in log.replay(after=1)] == ["e2"]
    assert [row.id for row in log.events_of("p_b")] == ["e2"]


def test_an_event_id_is_written_once(log: EventLog) -> None:
    assert log.commit([event("e1"), event("e1"), event("e2")]).result() == [True, False, True]
    assert log.commit([event("e2"), event("e3")]).result() == [False, True]
    assert log.commit([Entry("answer", "e1", "", {})]).result() == [True]
    assert [row.id for row in log.replay()] == ["e1", "e2", "e3"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6))
def test_any_order_of_repeats_is_written_once_and_verifies(
    tmp_path_factory: pytest.TempPathFactory, vault: Vault, groups: list[list[int]]
) -> None:
    with EventLog(tmp_path_factory.mktemp("log") / "events.sqlite", vault) as log:
        fresh = [new for group in groups for new in log.commit([event(str(name)) for name in group]).result()]
        assert sum(fresh) == len({name for group in groups for name in group})
        assert log.verify().ok and log.verify().rows == sum(fresh)


def test_recorded_rows_are_there_after_a_flush_and_after_closing(tmp_path: Path, vault: Vault) -> None:
    patient = EventLogSettings(linger_seconds=3600)
    log = EventLog(tmp_path / "events.sqlite", vault, settings=patient)
    log.record(event("e1"))
    log.flush()
    assert [row.id for row in log.replay()] == ["e1"]
    log.record(event("e2"))
    log.close()
    log.close()
    with pytest.raises(LogFullError, match="closed"):
        log.record(event("e3"))
    with EventLog(tmp_path / "events.sqlite", vault) as again:
        assert [row.id for row in again.replay()] == ["e1", "e2"]
        assert again.commit([event("e1"), event("e3")]).result() == [False, True]
        assert again.verify().ok


def test_a_full_queue_refuses_and_keeps_what_it_had(tmp_path: Path, vault: Vault) -> None:
    small = EventLogSettings(queue_rows=3, linger_seconds=3600)
    with EventLog(tmp_path / "events.sqlite", vault, settings=small) as log:
        for name in "abc":
            log.record(event(name))
        with pytest.raises(LogFullError, match="try again"):
            log.record(event("d"))
        log.flush()
        log.record(event("d"))
        log.flush()
        assert [row.id for row in log.replay()] == ["a", "b", "c", "d"]


def test_what_cannot_be_written_fails_in_the_hands_of_the_caller(log: EventLog) -> None:
    with pytest.raises(TypeError):
        log.record(Entry("event", "e1", "", {"item_id": object()}))
    assert log.commit([event("e2")]).result() == [True]


def test_a_failing_disk_is_reported_to_who_waits(log: EventLog) -> None:
    bad = Entry("gossip", "e1", "", {})
    with pytest.raises(Exception, match="could not be written"):
        log.commit([bad]).result()
    assert "could not be written" in str(log.failure)
    assert log.commit([event("e2")]).result() == [True]
    assert str(log.failure) == "None"
    assert log.verify().rows == 1


def tamper(path: Path, statement: str) -> None:
    """What somebody with the file and without scruples would do."""
    db = sqlite3.connect(path)
    db.executescript("DROP TRIGGER log_is_append_only; DROP TRIGGER log_keeps_its_rows;")
    db.execute(statement)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE log SET body = CAST(replace(body, 'click', 'view') AS BLOB) WHERE seq = 2", "row 2"),
        ("UPDATE log SET subject = 'p_z' WHERE seq = 3", "row 3"),
        ("UPDATE log SET time = time + 1 WHERE seq = 1", "row 1"),
        ("UPDATE log SET sealed = NULL WHERE seq = 2", "row 2"),
        ("DELETE FROM log WHERE seq = 2", "rows 2 to 2 are missing"),
        ("DELETE FROM log WHERE seq = 1", "rows 1 to 1 are missing"),
        ("UPDATE log SET seq = seq + 10 WHERE seq = 4", "missing"),
    ],
)
def test_tampering_is_found_and_named(log: EventLog, statement: str, problem: str) -> None:
    log.commit([event(f"e{number}", text=f"wish {number}") for number in range(4)]).result()
    assert log.verify().ok
    tamper(log.path, statement)
    verdict = log.verify()
    assert not verdict.ok
    assert problem in verdict.problem


def test_a_cut_or_rewritten_end_is_found_with_a_noted_head(tmp_path: Path, vault: Vault, log: EventLog) -> None:
    log.commit([event("e1"), event("e2")]).result()
    head = log.head()
    log.commit([event("e3")]).result()
    assert log.verify(head).ok
    with EventLog(tmp_path / "forged.sqlite", vault) as forged:
        forged.commit([event("e1"), event("x2"), event("e3")]).result()
        assert forged.verify().ok
        assert "rewritten" in forged.verify(head).problem
    tamper(log.path, "DELETE FROM log WHERE seq >= 2")
    assert log.verify().ok
    assert "ends at row 1" in log.verify(head).problem


def test_the_table_itself_refuses_changes(log: EventLog) -> None:
    log.commit([event("e1")]).result()
    db = sqlite3.connect(log.path)
    for statement in ("UPDATE log SET body = x'7b7d'", "DELETE FROM log"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()


def test_nothing_personal_is_in_the_bytes_of_the_files(tmp_path: Path, vault: Vault) -> None:
    with EventLog(tmp_path / "events.sqlite", vault) as log:
        person = vault.pseudonym("alice@example.com")
        log.commit([event("e1", person, text="a secret wish", place="Paris")]).result()
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert person.encode() in written
        for secret in (b"alice@example.com", b"secret wish", b"Paris"):
            assert secret not in written


def test_erasing_a_person_keeps_the_chain_whole(log: EventLog, vault: Vault) -> None:
    log.commit([event("e1", text="a wish"), event("e2", "p_b", text="another")]).result()
    vault.erase("p_a")
    first, second = log.replay()
    assert first.personal is None and first.erased and first.body["item_id"] == "i1"
    assert second.personal == {"text": "another"}
    assert log.verify().ok


def test_old_rows_go_from_the_front_and_the_rest_verifies(tmp_path: Path, vault: Vault) -> None:
    clock = Clock()
    bounded = EventLogSettings(max_rows=5, max_age_days=10, prune_every=1)
    with EventLog(tmp_path / "events.sqlite", vault, settings=bounded, clock=clock) as log:
        log.commit([event(f"e{number}") for number in range(8)]).result()
        assert [row.id for row in log.replay()] == ["e3", "e4", "e5", "e6", "e7"]
        assert log.verify().ok
        clock.now += 11 * 86_400
        log.commit([event("new")]).result()
        assert [row.id for row in log.replay()] == ["new"]
        verdict = log.verify()
        assert verdict.ok and verdict.head == Head(9, log.head().hash)


def test_tenants_share_a_file_and_see_their_own(tmp_path: Path, vault: Vault) -> None:
    path = tmp_path / "events.sqlite"
    with EventLog(path, vault, tenant="one") as one, EventLog(path, vault, tenant="two") as two:
        assert one.commit([event("e1")]).result() == two.commit([event("e1")]).result() == [True]
        assert one.commit([event("e2")]).result() == [True]
        assert [row.id for row in one.replay()] == ["e1", "e2"]
        assert [row.id for row in two.replay()] == ["e1"]
        assert two.verify().ok and two.verify().rows == 3


def test_a_foreign_file_is_refused_with_the_reason(tmp_path: Path, vault: Vault) -> None:
    path = tmp_path / "events.sqlite"
    path.write_text("this is no database, and long enough to be read as a header of one" * 20)
    with pytest.raises(ArtefactError, match="not a usable event log"):
        EventLog(path, vault)
