"""Clients of a server: the same answers and errors as without one, addresses, keys, and what is tried again."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
import trustme

import ochre
from ochre import ClientType, Settings
from ochre.connect.engines import open_engine
from ochre.errors import (
    AlreadyExistsError,
    AuthenticationError,
    ClosedError,
    ForbiddenError,
    InvalidArgumentError,
    InvalidDimensionError,
    InvalidTypeError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    UnreachableError,
    UnsupportedError,
)
from ochre.model import requests
from ochre.model.filters import parse_filters
from ochre.remote._sync import transport as transport_module
from ochre.remote._sync.engine import RemoteEngine
from ochre.remote._sync.transport import Transport
from ochre.remote.address import headers_for, server_url, verify_of
from ochre.server.keys import KeyStore
from ochre.server.settings import ServerSettings
from ochre.wire import client_side
from tests.client.conftest import Letters, everything, fill
from tests.server.live import live


class ForeignSettings:
    """Settings as an application made them for Chroma."""

    allow_reset = False

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with live(open_engine(tmp_path_factory.mktemp("db"), Settings(allow_reset=True))) as url:
        yield url


@pytest.fixture
def remote(url: str) -> Iterator[ClientType]:
    with ochre.HttpClient(url) as client:
        yield client
        for collection in client.list_collections():
            client.delete_collection(collection.name)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[str, KeyStore]]:
    keys = KeyStore(tmp_path / "db")
    with live(open_engine(tmp_path / "db"), keys=keys) as url:
        yield url, keys


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, KeyStore]]:
    """A server with keys, and with the database `letters` of the tenant `acme`."""
    folder = tmp_path_factory.mktemp("acme")
    keys = KeyStore(folder)
    engine = open_engine(folder)
    engine.create_tenant("acme")
    engine.create_database("letters", "acme")
    with live(engine, keys=keys) as url:
        yield url, keys


# -- the same as without a server -------------------------------------------------------------------------------


def test_a_collection_lives_on_a_server_as_it_does_in_a_folder(remote: ClientType) -> None:
    with ochre.EphemeralClient() as local:
        kept = []
        for client in (remote, local):
            things = client.create_collection("things", metadata={"owner": "ann"}, embedding_function=Letters())
            fill(things)
            things.update(["id1"], metadatas=[{"n": 100}])
            things.upsert(["id9", "new"], documents=["four", "seven77"])
            assert things.delete(where={"even": True}) == {"deleted": 5}
            things.modify(name="renamed")
            found = client.get_collection("renamed", embedding_function=Letters())
            asked = found.query(query_texts=["four"], n_results=2)
            kept.append((everything(found), asked, list(found.scan(2)), found.count(), found.configuration_json))
    assert kept[0] == kept[1]


def test_a_server_answers_for_itself(remote: ClientType) -> None:
    assert remote.heartbeat() > 1_600_000_000 * 10**9
    assert remote.get_version() == "1.0.0"
    assert 0 < remote.get_max_batch_size() < 2**31 - 1
    identity = remote.get_user_identity()
    assert (identity.user_id, identity.tenant, identity.databases) == ("", "default_tenant", ["default_database"])


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.get_collection("nothing"), NotFoundError),
        (lambda c: c.create_collection("things"), AlreadyExistsError),
        (lambda c: c.create_collection("a"), InvalidArgumentError),
        (lambda c: c.get_collection("things").add(["b"], embeddings=[[1.0]]), InvalidDimensionError),
        (lambda c: c.get_collection("things").query(query_embeddings=[[1.0, 2.0]], ids=["b"]), NotFoundError),
        (lambda c: c.set_tenant("nobody"), NotFoundError),
        (lambda c: c.reset(), ForbiddenError),
    ],
)
def test_errors_are_those_of_a_folder(tmp_path: Path, call: Callable[[Any], Any], error: type[Exception]) -> None:
    with (
        live(open_engine(tmp_path / "served")) as url,
        ochre.HttpClient(url) as remote,
        ochre.EphemeralClient() as local,
    ):
        for client in (local, remote):
            client.create_collection("things").add(["a"], embeddings=[[1.0, 2.0]])
            with pytest.raises(error) as raised:
                call(client)
            assert type(raised.value) is error


def test_tenants_are_managed_through_the_client_of_a_server(remote: ClientType, url: str) -> None:
    admin = ochre.AdminClient(remote)
    admin.create_tenant("acme")
    admin.create_database("letters", "acme")
    with ochre.HttpClient(url, tenant="acme", database="letters") as client:
        client.create_collection("notes").add(["a"], embeddings=[[1.0]])
        assert client.get_collection("notes").count() == 1
    assert remote.count_collections() == 0


def test_a_closed_client_refuses_to_work(url: str) -> None:
    client = ochre.HttpClient(url)
    client.close()
    client.close()
    with pytest.raises(ClosedError, match=f"the client of {url} is closed"):
        client.count_collections()


def test_settings_made_for_chroma_name_the_server(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    settings = ForeignSettings(chroma_api_impl="rest", chroma_server_host=host, chroma_server_http_port=port)
    with ochre.Client(settings) as client, ochre.AdminClient(settings) as admin:
        assert client.get_version() == "1.0.0"
        assert admin.get_tenant("default_tenant") == {"name": "default_tenant"}

    async def version() -> str:
        async with ochre.AsyncClient(settings) as client, ochre.AsyncAdminClient(settings) as admin:
            assert await admin.get_tenant("default_tenant") == {"name": "default_tenant"}
            return await client.get_version()

    assert asyncio.run(version()) == "1.0.0"


@pytest.mark.parametrize(
    "values", [{"chroma_server_host": "there"}, {"chroma_server_host": "here", "chroma_server_http_port": 99}]
)
def test_settings_that_name_another_server_than_the_arguments_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="but the argument is"):
        ochre.HttpClient("here", settings=ForeignSettings(**values))


def test_a_host_and_a_port_do_as_well_as_a_url(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with ochre.HttpClient(host=host, port=int(port)) as client:
        assert client.count_collections() == 0


# -- addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "ssl", "expected"),
    [
        ("localhost", False, "http://localhost:8000"),
        ("example.com", True, "https://example.com:8000"),
        ("::1", False, "http://[::1]:8000"),
        ("http://example.com", False, "http://example.com"),
        ("https://example.com:99/search/", False, "https://example.com:99/search"),
        ("http://example.com/api/v2", True, "https://example.com"),
    ],
)
def test_an_address_becomes_a_url(host: str, ssl: bool, expected: str) -> None:
    assert server_url(host, 8000, ssl=ssl) == expected


@pytest.mark.parametrize(
    ("host", "port", "error", "words"),
    [
        ("localhost/chroma", 8000, InvalidArgumentError, "Invalid URL"),
        ("ftp://localhost/chroma", 8000, InvalidArgumentError, "Invalid URL"),
        ("http://", 8000, InvalidArgumentError, "Invalid URL"),
        ("http://localhost:port", 8000, InvalidArgumentError, "Invalid URL"),
        ("http://localhost?a=b", 8000, InvalidArgumentError, "Invalid URL"),
        ("", 8000, InvalidArgumentError, "Invalid URL"),
        ("local host", 8000, InvalidArgumentError, "Invalid URL"),
        (None, 8000, InvalidTypeError, "host is None"),
        ("localhost", 0, InvalidArgumentError, "port is 0"),
        ("localhost", 65_536, InvalidArgumentError, "port is 65536"),
        ("localhost", "http", InvalidTypeError, "port is 'http'"),
    ],
)
def test_what_is_no_address_is_refused(host: Any, port: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ochre.HttpClient(host, port)


# -- keys -------------------------------------------------------------------------------------------------------


def test_a_key_opens_the_door(guarded: tuple[str, KeyStore]) -> None:
    url, keys = guarded
    _, secret = keys.create("ann", "write")
    with ochre.HttpClient(url, api_key=secret) as client:
        client.create_collection("things").add(["a"], embeddings=[[1.0]])
        assert client.get_user_identity().user_id == "ann"


@pytest.mark.parametrize("key", [None, "ochre_unknown"])
def test_without_a_known_key_the_door_stays_shut(guarded: tuple[str, KeyStore], key: str | None) -> None:
    url, keys = guarded
    keys.create("ann", "write")
    with pytest.raises(AuthenticationError, match="key"):
        ochre.HttpClient(url, api_key=key)


def test_a_key_that_reads_does_not_write(guarded: tuple[str, KeyStore]) -> None:
    url, keys = guarded
    _, secret = keys.create("ann", "read")
    with ochre.HttpClient(url, api_key=secret) as client, pytest.raises(PermissionDeniedError, match="'read'"):
        client.create_collection("things")


@pytest.mark.parametrize(
    ("values", "credentials"),
    [
        ({"chroma_client_auth_provider": "chromadb.auth.basic_authn.BasicAuthClientProvider"}, "ann:{}"),
        ({"chroma_client_auth_provider": "chromadb.auth.token_authn.TokenAuthClientProvider"}, "{}"),
        (
            {
                "chroma_client_auth_provider": "chromadb.auth.token_authn.TokenAuthClientProvider",
                "chroma_auth_token_transport_header": "X-Chroma-Token",
            },
            "{}",
        ),
    ],
)
def test_settings_made_for_chroma_carry_the_key(
    guarded: tuple[str, KeyStore], values: dict[str, str], credentials: str
) -> None:
    url, keys = guarded
    _, secret = keys.create("ann", "read")
    settings = ForeignSettings(**values, chroma_client_auth_credentials=credentials.format(secret))
    with ochre.HttpClient(url, settings=settings) as client:
        assert client.get_user_identity().user_id == "ann"


def test_headers_are_told_in_chromas_words() -> None:
    token = {"chroma_client_auth_provider": "TokenAuthClientProvider", "chroma_client_auth_credentials": "t"}
    basic = {"chroma_client_auth_provider": "BasicAuthClientProvider", "chroma_client_auth_credentials": "a:b"}
    assert headers_for(None, ForeignSettings(**token), None) == {"Authorization": "Bearer t"}
    assert headers_for(None, ForeignSettings(**basic), None) == {"Authorization": "Basic YTpi"}
    named = ForeignSettings(**token, chroma_auth_token_transport_header="X-Chroma-Token")
    assert headers_for({"x-team": "blue"}, named, None) == {"X-Chroma-Token": "t", "x-team": "blue"}


@pytest.mark.parametrize(
    ("headers", "values", "key", "words"),
    [
        ({"a": 5}, {}, None, "header 'a'"),
        ([("a", "b")], {}, None, "headers is"),
        ({"a": "ü"}, {}, None, "header 'a'"),
        (None, {}, "line\nline", "header 'Authorization'"),
        (None, {"chroma_client_auth_provider": "x.BasicAuthClientProvider"}, None, "chroma_client_auth_credentials"),
        (
            None,
            {"chroma_client_auth_provider": "x.Own", "chroma_client_auth_credentials": "a"},
            None,
            "chroma_client_auth_provider is 'x.Own'",
        ),
        (
            None,
            {
                "chroma_client_auth_provider": "x.TokenAuthClientProvider",
                "chroma_client_auth_credentials": "a",
                "chroma_auth_token_transport_header": "Cookie",
            },
            None,
            "chroma_auth_token_transport_header is 'Cookie'",
        ),
    ],
)
def test_what_no_header_can_carry_is_refused(headers: Any, values: dict[str, str], key: str | None, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        ochre.HttpClient(headers=headers, settings=ForeignSettings(**values), api_key=key)


def test_a_key_opens_the_door_for_tasks_too(guarded: tuple[str, KeyStore]) -> None:
    url, keys = guarded
    _, secret = keys.create("ann", "read")

    async def user(key: str) -> str:
        async with ochre.AsyncHttpClient(url, api_key=key) as client:
            return (await client.get_user_identity()).user_id

    assert asyncio.run(user(secret)) == "ann"
    with pytest.raises(AuthenticationError):
        asyncio.run(user("other"))


def _place(url: str, key: str, **named: str) -> tuple[str, str]:
    with ochre.HttpClient(url, api_key=key, **named) as client:
        assert client.count_collections() == 0
        return client.tenant, client.database


def _place_of_tasks(url: str, key: str, **named: str) -> tuple[str, str]:
    async def place() -> tuple[str, str]:
        async with ochre.AsyncHttpClient(url, api_key=key, **named) as client:
            assert await client.count_collections() == 0
            return client.tenant, client.database

    return asyncio.run(place())


@pytest.mark.parametrize("place_of", [_place, _place_of_tasks])
@pytest.mark.parametrize(
    ("limits", "named", "place"),
    [
        ({}, {}, ("default_tenant", "default_database")),
        ({}, {"tenant": "acme", "database": "letters"}, ("acme", "letters")),
        ({"tenant": "acme", "database": "letters"}, {}, ("acme", "letters")),
        ({"tenant": "acme", "database": "letters"}, {"database": "letters"}, ("acme", "letters")),
        ({"tenant": "acme"}, {"database": "letters"}, ("acme", "letters")),
        ({"tenant": "default_tenant"}, {}, ("default_tenant", "default_database")),
    ],
)
def test_a_client_works_where_its_key_leads_unless_another_place_is_named(
    acme: tuple[str, KeyStore],
    place_of: Callable[..., Any],
    limits: dict[str, str],
    named: dict[str, str],
    place: tuple[str, str],
) -> None:
    url, keys = acme
    _, secret = keys.create("bob", "read", **limits)
    assert place_of(url, secret, **named) == place


@pytest.mark.parametrize("place_of", [_place, _place_of_tasks])
@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"tenant": "other"}, "Tenant other does not match acme from the server"),
        ({"tenant": "default_tenant"}, "Tenant default_tenant does not match acme"),
        ({"tenant": "acme", "database": "bills"}, "Database bills does not match letters from the server"),
    ],
)
def test_a_place_that_the_key_does_not_lead_to_is_refused(
    acme: tuple[str, KeyStore], place_of: Callable[..., Any], named: dict[str, str], words: str
) -> None:
    url, keys = acme
    _, secret = keys.create("bob", "read", tenant="acme", database="letters")
    with pytest.raises(PermissionDeniedError, match=words):
        place_of(url, secret, **named)


def test_which_certificates_are_trusted_is_the_settings_affair(tmp_path: Path) -> None:
    assert verify_of(None, Settings()) is True
    assert verify_of(None, ForeignSettings(chroma_server_ssl_verify=False)) is False
    assert verify_of(True, ForeignSettings(chroma_server_ssl_verify=False)) is True
    assert isinstance(verify_of(None, ForeignSettings(chroma_server_ssl_verify=str(tmp_path))), ssl.SSLContext)
    with pytest.raises(InvalidArgumentError, match="chroma_server_ssl_verify is 'nowhere'"):
        verify_of(None, ForeignSettings(chroma_server_ssl_verify="nowhere"))
    with pytest.raises(InvalidArgumentError, match="verify is 'nowhere'"):
        verify_of("nowhere", None)
    with pytest.raises(InvalidTypeError, match="verify is 5"):
        verify_of(5, None)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A server that speaks TLS: its port, and the certificate of the authority that vouches for it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    own = authority.issue_cert("localhost")
    own.private_key_pem.write_to_path(folder / "key.pem")
    own.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    settings = ServerSettings(tls_cert=str(folder / "cert.pem"), tls_key=str(folder / "key.pem"))
    with live(open_engine(folder / "db"), settings) as url:
        yield int(url.rpartition(":")[2]), folder / "authority.pem"


def _counted(port: int, **trust: Any) -> int:
    with ochre.HttpClient("localhost", port, ssl=True, **trust) as client:
        return client.count_collections()


def _counted_by_tasks(port: int, **trust: Any) -> int:
    async def counted() -> int:
        async with ochre.AsyncHttpClient("localhost", port, ssl=True, **trust) as client:
            return await client.count_collections()

    return asyncio.run(counted())


@pytest.mark.parametrize("counted", [_counted, _counted_by_tasks])
def test_a_client_speaks_tls_with_a_server_that_it_trusts(
    encrypted: tuple[int, Path], counted: Callable[..., int]
) -> None:
    port, authority = encrypted
    trusting = ssl.create_default_context(cafile=authority)
    for verify in (authority, str(authority), trusting, False):
        assert counted(port, verify=verify) == 0
    assert counted(port, settings=ForeignSettings(chroma_server_ssl_verify=str(authority))) == 0
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        counted(port)


def test_the_name_in_a_certificate_counts(encrypted: tuple[int, Path]) -> None:
    port, authority = encrypted
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        ochre.HttpClient("127.0.0.1", port, ssl=True, verify=authority)


# -- what is tried again ----------------------------------------------------------------------------------------


class Fake:
    """Answers a request with each of `answers` in turn: a status, an answer, or an error to raise; counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
        self.answers = list(answers)
        self.pauses: list[float] = []
        monkeypatch.setattr(transport_module, "pause", self.pauses.append)
        self.transport = Transport("http://server", {})
        self.transport._client = httpx.Client(
            base_url="http://server/api/v2", transport=httpx.MockTransport(self.answer)
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        body = {"error": "Backoff", "message": "busy", "code": "overloaded"} if answer == 429 else 5
        return httpx.Response(answer, content=json.dumps(body))


REFUSED = httpx.ConnectError("refused")
BROKEN = httpx.ReadError("broken")
UNTRUSTED = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")


def by_proxy(status: int) -> httpx.Response:
    return httpx.Response(status, content="<html>come back later</html>")


@pytest.mark.parametrize(
    ("method", "answers"),
    [
        ("POST", (429, 429, 429, 200)),
        ("POST", (REFUSED, REFUSED, REFUSED, 200)),
        ("GET", (BROKEN, 429, REFUSED, 200)),
        ("POST", (by_proxy(429), by_proxy(429), by_proxy(429), 200)),
        ("GET", (by_proxy(502), by_proxy(503), by_proxy(504), 200)),
    ],
)
def test_what_certainly_did_not_happen_is_tried_again_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch, method: str, answers: tuple[Any, ...]
) -> None:
    fake = Fake(monkeypatch, *answers)
    assert fake.transport.request(method, "/things") == b"5"
    assert fake.pauses == [0.1, 0.2, 0.4]


@pytest.mark.parametrize(("answer", "error"), [(429, OverloadedError), (REFUSED, UnreachableError)])
def test_after_four_attempts_the_error_is_the_answer(
    monkeypatch: pytest.MonkeyPatch, answer: Any, error: type[Exception]
) -> None:
    fake = Fake(monkeypatch, *[answer] * 5)
    with pytest.raises(error):
        fake.transport.request("POST", "/things")
    assert len(fake.answers) == 1


@pytest.mark.parametrize(
    ("answer", "words"), [(BROKEN, "http://server does not answer"), (by_proxy(503), "status 503: <html>come back")]
)
def test_a_write_without_an_answer_of_the_servers_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, answer: Any, words: str
) -> None:
    fake = Fake(monkeypatch, answer, 200)
    with pytest.raises(UnreachableError, match=words):
        fake.transport.request("POST", "/things")
    assert fake.answers == [200]


@pytest.mark.parametrize("answer", [BROKEN, by_proxy(503)])
@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.count(requests.CountRecords(UUID(int=1), parse_filters({"a": 1}, None))),
        lambda engine: engine.count(requests.CountRecords(UUID(int=1))),
    ],
    ids=["a body", "none"],
)
def test_a_read_without_an_answer_of_the_servers_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, answer: Any, call: Callable[[RemoteEngine], int]
) -> None:
    fake = Fake(monkeypatch, answer, 200)
    assert call(RemoteEngine(fake.transport)) == 5


def test_a_certificate_that_is_not_trusted_is_not_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(monkeypatch, UNTRUSTED, 200)
    with pytest.raises(UnreachableError, match="name its authority with verify="):
        fake.transport.request("GET", "/things")
    assert fake.answers == [200]


def test_a_body_that_is_too_large_is_named_as_such(tmp_path: Path) -> None:
    settings = ServerSettings(max_body_bytes=2000)
    with live(open_engine(tmp_path), settings) as url, ochre.HttpClient(url) as client:
        things = client.create_collection("things", embedding_function=None)
        with pytest.raises(PayloadTooLargeError, match="2,?000"):
            things.add(["a"], embeddings=np.ones((1, 1000)))


def test_the_json_of_a_large_call_is_not_made_or_read_on_the_event_loop(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, threading.Thread] = {}
    for name in ("write_records", "record_batch"):
        function = getattr(client_side, name)

        def noting(value: Any, name: str = name, function: Callable[[Any], Any] = function) -> Any:
            threads[name] = threading.current_thread()
            return function(value)

        monkeypatch.setattr(client_side, name, noting)

    async def calls(count: int) -> set[bool]:
        async with ochre.AsyncHttpClient(url) as client:
            things = await client.create_collection(f"of-{count}", embedding_function=None)
            await things.add([str(n) for n in range(count)], embeddings=np.ones((count, 100)))
            found = await things.get(include=["embeddings"])
            assert found["embeddings"].shape == (count, 100)
            await client.delete_collection(things.name)
        return {thread is threading.current_thread() for thread in threads.values()}

    assert asyncio.run(calls(2)) == {True}
    assert asyncio.run(calls(1000)) == {False}
    assert set(threads) == {"write_records", "record_batch"}


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "pause", lambda _: None)
    with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:1 does not answer .*is the server running"):
        ochre.HttpClient("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("operation", "arguments"), [("backup", ["folder"]), ("snapshot", ["file.ochre"]), ("vacuum", [])]
)
def test_a_client_of_a_server_says_where_the_folder_is_looked_after(
    remote: ClientType, operation: str, arguments: list[str]
) -> None:
    with pytest.raises(UnsupportedError, match=f"run `ochre {operation}` where the folder"):
        getattr(remote, operation)(*arguments)


def test_a_client_of_a_server_can_erase(remote: ClientType, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = remote.create_collection("things", embedding_function=None)
    fill(collection)
    erased = []
    monkeypatch.setattr("ochre.local.compaction.cleanse", lambda *arguments, **options: erased.append(arguments[1]))
    assert collection.delete(ids=["id0"]) == {"deleted": 1}
    assert collection.delete(ids=["id1"], erase=True) == {"deleted": 1}
    assert erased == [collection.id]
