"""A server a module, an empty database a test, and a client that knows the API's paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ochre.local.engine import LocalEngine
from ochre.server.settings import ServerSettings
from ochre.settings import Settings
from tests.server.live import live

ROOT = "/api/v2"
DATABASE = f"{ROOT}/tenants/default_tenant/databases/default_database"
COLLECTIONS = f"{DATABASE}/collections"
FAST = Settings(allow_reset=True, synchronous="off")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = LocalEngine.open(tmp_path_factory.mktemp("server"), FAST)
    with live(engine, ServerSettings(max_body_bytes=1_000_000)) as address:
        yield address


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as client:
        assert client.post(f"{ROOT}/reset").json() is True
        yield client


@pytest.fixture
def things(http: httpx.Client) -> str:
    """The path of a collection of three records: n counts, b and c have documents."""
    made = http.post(COLLECTIONS, json={"name": "things"}).json()
    path = f"{COLLECTIONS}/{made['id']}"
    body = {
        "ids": ["a", "b", "c"],
        "embeddings": [[1, 0], [0, 1], [1, 1]],
        "documents": [None, "red fox", "blue fox"],
        "metadatas": [{"n": 1, "f": 1.0}, {"n": 2, "tags": ["x", "y"]}, None],
        "uris": ["u", None, None],
    }
    assert http.post(f"{path}/add", json=body).status_code == 201
    return path


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and name of an error answer, having checked its form."""
    body: dict[str, Any] = response.json()
    assert set(body) == {"error", "message", "code"}
    assert body["message"]
    assert len(response.headers["chroma-trace-id"]) == 32
    return response.status_code, body["error"]
