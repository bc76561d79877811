"""API keys on the disk: created, found, listed, revoked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ochre.errors import AuthenticationError, InvalidArgumentError, NotFoundError, StorageError
from ochre.server.auth import ANYBODY, Authenticator
from ochre.server.keys import KeyStore


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path)


def test_a_key_is_found_by_its_secret(keys: KeyStore) -> None:
    key, secret = keys.create("ann", "write", "acme", "stock", "cars")
    assert keys.find(secret) == key
    assert (key.scope, key.tenant, key.database, key.collection) == ("write", "acme", "stock", "cars")
    assert keys.find(f"{secret}x") is None


def test_the_secret_is_not_on_the_disk(keys: KeyStore) -> None:
    _, secret = keys.create("ann", "read")
    assert all(secret not in path.read_text() for path in keys.folder.iterdir())


def test_another_store_of_the_folder_finds_the_key(keys: KeyStore, tmp_path: Path) -> None:
    other = KeyStore(tmp_path)
    assert other.find("nothing yet") is None
    key, secret = keys.create("ann", "read")
    assert other.find(secret) == key


def test_keys_are_listed_the_oldest_first(keys: KeyStore) -> None:
    made = [keys.create(name, "read")[0] for name in ("ann", "bob", "cid")]
    assert keys.list() == made


def test_a_revoked_key_is_gone(keys: KeyStore) -> None:
    key, secret = keys.create("ann", "read")
    keys.revoke(key.id)
    assert (keys.find(secret), keys.list()) == (None, [])


def test_a_folder_whose_keys_were_all_revoked_is_not_open_to_everybody(keys: KeyStore) -> None:
    assert not keys.exists()
    keys.revoke(keys.create("ann", "read")[0].id)
    assert keys.exists()


@pytest.mark.parametrize("id_", ["3f9a0c21", "", "..", "../../ochre"])
def test_revoking_what_is_no_key_is_an_error(keys: KeyStore, id_: str) -> None:
    keys.create("ann", "read")
    with pytest.raises(NotFoundError, match="keys list"):
        keys.revoke(id_)


def test_a_key_that_cannot_be_revoked_is_said_to_be_good_still(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = keys.create("ann", "read")
    monkeypatch.setattr(Path, "unlink", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    with pytest.raises(StorageError, match="still good"):
        keys.revoke(key.id)


@pytest.mark.parametrize(
    ("scope", "place", "message"),
    [
        ("root", {}, "expected read, write, admin"),
        ("read", {"database": "stock"}, "names its tenant"),
        ("read", {"tenant": "acme", "collection": "cars"}, "names its tenant"),
    ],
)
def test_a_key_for_nothing_that_could_be_is_refused(keys: KeyStore, scope: Any, place: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        keys.create("ann", scope, **place)
    assert not keys.exists()


def test_a_broken_file_opens_nothing_and_keeps_nobody_out(keys: KeyStore) -> None:
    key, secret = keys.create("ann", "read")
    (keys.folder / "broken.json").write_text("{")
    assert keys.find(secret) == key
    with pytest.raises(StorageError, match=r"broken\.json is not an API key"):
        keys.list()


def test_the_first_key_closes_an_open_door_for_good(keys: KeyStore, tmp_path: Path) -> None:
    authenticator = Authenticator(keys, open_until_first_key=True)
    assert authenticator.principal({}) is ANYBODY
    key, _ = keys.create("ann", "read")
    with pytest.raises(AuthenticationError, match="asks for an API key"):
        authenticator.principal({})
    keys.revoke(key.id)
    keys.folder.rmdir()
    with pytest.raises(AuthenticationError, match="asks for an API key"):
        authenticator.principal({})
