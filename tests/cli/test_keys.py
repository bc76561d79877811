"""`ochre keys`: what is printed, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ochre.server.keys import KeyStore
from tests.cli.conftest import Ochre


def test_create_prints_the_key_and_nothing_else(ochre: Ochre, tmp_path: Path) -> None:
    done = ochre("keys", "create", "ann", "--scope", "write", "--path", str(tmp_path))
    found = KeyStore(tmp_path).find(done.out.strip())
    assert (done.code, done.err) == (0, "")
    assert found is not None
    assert (found.name, found.scope) == ("ann", "write")


def test_list_tells_where_keys_lead_but_not_what_they_are(ochre: Ochre, tmp_path: Path) -> None:
    secret = ochre("keys", "create", "ann", "--tenant", "acme", "--database", "stock", "--path", str(tmp_path)).out
    (key,) = KeyStore(tmp_path).list()
    line = ochre("keys", "list", "--path", str(tmp_path)).out
    assert line.startswith(f"{key.id}  read   acme/stock  ")
    assert line.endswith("  ann\n")
    assert secret.strip() not in line


def test_revoke_takes_the_key_back(ochre: Ochre, tmp_path: Path) -> None:
    key, secret = KeyStore(tmp_path).create("ann", "read")
    assert ochre("keys", "revoke", key.id, "--path", str(tmp_path)) == (0, "", "")
    assert KeyStore(tmp_path).find(secret) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "ann", "--scope", "root"), "scope is 'root': expected read, write, admin"),
        (("create", "ann", "--database", "stock"), "names its tenant"),
        (("revoke", "3f9a0c21"), "there is no key '3f9a0c21'"),
    ],
)
def test_what_cannot_be_is_one_message(ochre: Ochre, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = ochre("keys", *arguments, "--path", str(tmp_path))
    assert (done.code, done.out) == (1, "")
    assert message in done.err
