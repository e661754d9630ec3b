"""The vault: pseudonyms, seals, and forgetting."""

from __future__ import annotations

import re
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate.core import ArtefactError
from palate.privacy import ErasedError, Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "keys" / "vault.sqlite")


def test_a_pseudonym_is_stable_keyed_and_betrays_nothing(tmp_path: Path, vault: Vault) -> None:
    name = vault.pseudonym("alice@example.com")
    assert re.fullmatch(r"p_[0-9a-f]{32}", name)
    assert vault.pseudonym("alice@example.com") == name
    assert Vault(vault.path).pseudonym("alice@example.com") == name
    assert Vault(tmp_path / "other.sqlite").pseudonym("alice@example.com") != name
    assert b"alice" not in vault.path.read_bytes()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=st.text(), other=st.text())
def test_two_people_never_share_a_pseudonym(vault: Vault, one: str, other: str) -> None:
    assert (vault.pseudonym(one) == vault.pseudonym(other)) == (one == other)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(max_size=500))
def test_what_is_sealed_opens_to_the_same_bytes(vault: Vault, payload: bytes) -> None:
    sealed = vault.seal("p_a", payload)
    assert vault.open("p_a", sealed) == payload
    assert len(payload) < 4 or payload not in sealed


def test_a_seal_is_of_one_person_and_cannot_be_changed(vault: Vault) -> None:
    sealed = vault.seal("p_a", b"a wish")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    with pytest.raises(ArtefactError, match="changed"):
        vault.open("p_a", changed)
    vault.seal("p_b", b"another")
    with pytest.raises(ErasedError):
        vault.open("p_b", sealed)


def test_erasing_makes_payloads_unreadable_in_every_process(vault: Vault) -> None:
    sealed = vault.seal("p_a", b"a wish")
    elsewhere = Vault(vault.path)
    assert elsewhere.open("p_a", sealed) == b"a wish"
    assert vault.erase("p_a")
    for one in (vault, elsewhere, Vault(vault.path)):
        with pytest.raises(ErasedError):
            one.open("p_a", sealed)
    assert not vault.erase("p_a")


def test_who_comes_back_after_erasure_gets_a_new_key(vault: Vault) -> None:
    old = vault.seal("p_a", b"before")
    vault.erase("p_a")
    new = vault.seal("p_a", b"after")
    assert vault.open("p_a", new) == b"after"
    with pytest.raises(ErasedError):
        vault.open("p_a", old)


def test_the_file_is_private_and_a_public_one_is_refused(vault: Vault) -> None:
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    vault.path.chmod(0o644)
    with pytest.raises(ArtefactError, match="chmod 600"):
        Vault(vault.path)


def test_a_foreign_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    path.write_text("this is no database, and long enough to be read as a header of one" * 20)
    path.chmod(0o600)
    with pytest.raises(ArtefactError, match="not a usable palate vault"):
        Vault(path)


def test_the_default_place_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_VAULT", str(tmp_path / "mine.sqlite"))
    assert Vault().path == tmp_path / "mine.sqlite"
    monkeypatch.delenv("PALATE_VAULT")
    monkeypatch.setenv("PALATE_HOME", str(tmp_path / "home"))
    assert Vault().path == tmp_path / "home" / "vault.sqlite"


def test_many_threads_get_one_key_a_person(vault: Vault) -> None:
    sealed: list[tuple[str, bytes]] = []

    def work(number: int) -> None:
        sealed.extend((f"p_{person}", vault.seal(f"p_{person}", b"%d" % number)) for person in range(10))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(vault.open(person, payload) for person, payload in sealed) == sorted(
        b"0123"[i : i + 1] for i in range(4) for _ in range(10)
    )


def test_the_fingerprint_tells_vaults_apart(tmp_path: Path, vault: Vault) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", vault.fingerprint)
    assert Vault(vault.path).fingerprint == vault.fingerprint
    assert Vault(tmp_path / "other.sqlite").fingerprint != vault.fingerprint
