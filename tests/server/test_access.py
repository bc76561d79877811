"""Who may do what: keys over HTTP, their scopes, and the places they are limited to."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ochre.local.engine import LocalEngine
from ochre.server.keys import SCOPES, KeyStore
from ochre.server.operations import TABLE, Access, Operation
from tests.server.conftest import COLLECTIONS, DATABASE, FAST, ROOT, error_of
from tests.server.live import live

RECORD = {"ids": ["a"], "embeddings": [[1.0]]}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def guarded(keys: KeyStore) -> Iterator[httpx.Client]:
    """A client of a server that asks for keys; it has none."""
    keys.create("first", "read")
    with live(LocalEngine.open(keys.folder.parent, FAST), keys=keys) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def scopes(keys: KeyStore) -> dict[str, dict[str, str]]:
    """The headers of an unlimited key of each scope."""
    return {scope: bearer(keys.create(scope, scope)[1]) for scope in SCOPES}


@pytest.fixture(autouse=True)
def _empty(guarded: httpx.Client, scopes: dict[str, dict[str, str]]) -> None:
    assert guarded.post(f"{ROOT}/reset", headers=scopes["admin"]).json() is True


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    "headers",
    [
        lambda secret: {"Authorization": f"Bearer {secret}"},
        lambda secret: {"authorization": f"bearer  {secret}"},
        lambda secret: {"x-chroma-token": secret},
        lambda secret: {"X-Chroma-Token": f"Bearer {secret}"},
        lambda secret: basic(f"ann:{secret}"),
    ],
    ids=["bearer", "lower-case", "token", "token-bearer", "basic"],
)
def test_a_key_is_taken_in_each_place_where_clients_put_one(
    guarded: httpx.Client, keys: KeyStore, headers: Any
) -> None:
    _, secret = keys.create("ann", "read")
    assert guarded.get(COLLECTIONS, headers=headers(secret)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("ochre_00000000_wrong"),
        {"Authorization": "ochre_00000000_wrong"},
        {"Authorization": "Basic %%"},
        {"x-chroma-token": ""},
        {"x-chroma-token": "\xff"},
        basic("ann:"),
    ],
    ids=str,
)
def test_no_key_or_an_unknown_one_is_401(guarded: httpx.Client, headers: dict[str, str]) -> None:
    response = guarded.get(COLLECTIONS, headers=[(k.encode(), v.encode("latin-1")) for k, v in headers.items()])
    assert error_of(response) == (401, "AuthError")
    assert response.headers["www-authenticate"].startswith("Bearer")


def called(client: httpx.Client, operation: Operation, headers: dict[str, str]) -> int:
    """Call an operation at a place where there is nothing, with a body of no use."""
    path = operation.path.replace("{", "no-").replace("}", "")
    content = b"{}" if operation.shape else None
    return client.request(operation.method, path, content=content, headers=headers).status_code


@pytest.mark.parametrize("operation", TABLE.operations, ids=lambda operation: operation.name)
def test_only_signs_of_life_are_public(guarded: httpx.Client, operation: Operation) -> None:
    assert called(guarded, operation, {}) == (200 if operation.access is Access.PUBLIC else 401)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("operation", TABLE.operations, ids=lambda operation: operation.name)
def test_a_scope_bounds_what_a_key_may_do(
    guarded: httpx.Client, scopes: dict[str, dict[str, str]], operation: Operation, scope: Any
) -> None:
    refused = operation.access > Access.READ + SCOPES.index(scope)
    assert (called(guarded, operation, scopes[scope]) == 403) == refused


def test_a_refusal_says_which_scope_is_needed(guarded: httpx.Client, scopes: dict[str, dict[str, str]]) -> None:
    response = guarded.post(COLLECTIONS, json={"name": "cars"}, headers=scopes["read"])
    assert error_of(response) == (403, "AuthError")
    assert "Forbidden: the key 'read' has the scope 'read'; this needs 'write'" in response.json()["message"]


@pytest.fixture
def paths(guarded: httpx.Client, scopes: dict[str, dict[str, str]]) -> dict[str, str]:
    """The paths of two collections."""
    found = {}
    for name in ("mine", "another"):
        made = guarded.post(COLLECTIONS, json={"name": name}, headers=scopes["admin"]).json()
        found[name] = f"{COLLECTIONS}/{made['id']}"
    return found


@pytest.fixture
def own(keys: KeyStore) -> dict[str, str]:
    """The headers of a key that is limited to the collection `mine`."""
    return bearer(keys.create("own", "write", "default_tenant", "default_database", "mine")[1])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "{mine}/add", RECORD, 201),
        ("POST", "{mine}/get", {}, 200),
        ("GET", "{mine}/count", None, 200),
        ("GET", f"{COLLECTIONS}/mine", None, 200),
        ("PUT", "{mine}", {"new_metadata": {"a": 1}}, 200),
        ("POST", COLLECTIONS, {"name": "mine", "get_or_create": True}, 200),
        ("GET", f"{ROOT}/tenants/default_tenant", None, 200),
        ("GET", DATABASE, None, 200),
        ("POST", "{another}/add", RECORD, 403),
        ("POST", "{another}/get", {}, 403),
        ("GET", "{another}/count", None, 403),
        ("GET", f"{COLLECTIONS}/another", None, 403),
        ("DELETE", f"{COLLECTIONS}/another", None, 403),
        ("PUT", "{another}", {"new_metadata": {"a": 1}}, 403),
        ("PUT", "{mine}", {"new_name": "other"}, 403),
        ("POST", COLLECTIONS, {"name": "other"}, 403),
        ("GET", f"{ROOT}/tenants/acme", None, 403),
        ("GET", f"{ROOT}/tenants/default_tenant/databases/stock", None, 403),
    ],
    ids=str,
)
def test_a_key_limited_to_a_collection_leads_there_alone(
    guarded: httpx.Client, paths: dict[str, str], own: dict[str, str], method: str, path: str, body: Any, status: int
) -> None:
    assert guarded.request(method, path.format(**paths), json=body, headers=own).status_code == status


def test_a_limited_key_sees_only_its_own_in_lists(
    guarded: httpx.Client, paths: dict[str, str], own: dict[str, str], scopes: dict[str, dict[str, str]]
) -> None:
    guarded.post(f"{ROOT}/tenants/default_tenant/databases", json={"name": "another"}, headers=scopes["admin"])
    collections = guarded.get(COLLECTIONS, headers=own).json()
    databases = guarded.get(f"{ROOT}/tenants/default_tenant/databases", headers=own).json()
    assert [found["name"] for found in collections] == ["mine"]
    assert [found["name"] for found in databases] == ["default_database"]
    assert guarded.get(f"{DATABASE}/collections_count", headers=own).json() == 1


def test_a_limited_keys_page_counts_what_it_sees(
    guarded: httpx.Client, paths: dict[str, str], own: dict[str, str]
) -> None:
    page = guarded.get(f"{COLLECTIONS}?limit=1", headers=own).json()
    assert [found["name"] for found in page] == ["mine"]
    assert guarded.get(f"{COLLECTIONS}?limit=1&offset=1", headers=own).json() == []


def test_a_limited_key_whose_collection_is_gone_sees_none(
    guarded: httpx.Client, own: dict[str, str], scopes: dict[str, dict[str, str]]
) -> None:
    assert guarded.get(COLLECTIONS, headers=own).json() == []
    assert guarded.get(f"{DATABASE}/collections_count", headers=own).json() == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", f"{ROOT}/tenants/default_tenant/databases", {"name": "stock"}, 200),
        ("POST", f"{ROOT}/tenants/acme/databases", {"name": "stock"}, 403),
        ("POST", f"{ROOT}/tenants", {"name": "acme"}, 403),
        ("POST", f"{ROOT}/reset", None, 403),
    ],
)
def test_an_admin_of_a_tenant_rules_it_alone(
    guarded: httpx.Client, keys: KeyStore, method: str, path: str, body: Any, status: int
) -> None:
    headers = bearer(keys.create("limited", "admin", "default_tenant")[1])
    assert guarded.request(method, path, json=body, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((), ("*", ["*"])),
        (("acme",), ("acme", ["*"])),
        (("acme", "stock"), ("acme", ["stock"])),
    ],
)
def test_the_identity_tells_where_a_key_leads(guarded: httpx.Client, keys: KeyStore, place: Any, expected: Any) -> None:
    found = guarded.get(f"{ROOT}/auth/identity", headers=bearer(keys.create("ann", "read", *place)[1])).json()
    assert found == {"user_id": "ann", "tenant": expected[0], "databases": expected[1]}


def test_a_revoked_key_is_refused_by_a_running_server(guarded: httpx.Client, keys: KeyStore) -> None:
    key, secret = keys.create("ann", "read")
    assert guarded.get(COLLECTIONS, headers=bearer(secret)).status_code == 200
    keys.revoke(key.id)
    deadline = time.monotonic() + 1
    while guarded.get(COLLECTIONS, headers=bearer(secret)).status_code != 401:
        assert time.monotonic() < deadline


def test_metrics_are_for_those_with_a_key(guarded: httpx.Client, own: dict[str, str]) -> None:
    assert error_of(guarded.get("/metrics")) == (401, "AuthError")
    assert guarded.get("/metrics", headers=own).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_the_documentation_is_public(guarded: httpx.Client, path: str) -> None:
    assert guarded.get(path).status_code == 200
