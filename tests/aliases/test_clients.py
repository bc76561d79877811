"""Clients under Chroma's name: which database each opens, and which of them there are not yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ochre import Settings
from ochre.connect.engines import open_engine
from ochre.server.keys import KeyStore
from tests.aliases.conftest import Script
from tests.server.live import live


def test_a_persistent_client_finds_what_another_process_left(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        client = chromadb.PersistentClient(path="db")
        client.create_collection("notes").add(ids=["1"], embeddings=[[1, 2]], documents=["one"])
    """)
    printed = run_chroma_script("""
        import chromadb
        client = chromadb.PersistentClient(path="db")
        print(client.get_collection("notes").query(query_embeddings=[[1, 2]])["documents"])
    """)
    assert printed == "[['one']]"


@pytest.mark.parametrize("call", ["EphemeralClient()", "Client()", "Client(chromadb.Settings())"])
def test_clients_without_a_folder_share_one_database(run_chroma_script: Script, call: str) -> None:
    run_chroma_script(f"""
        import chromadb
        first, second = chromadb.EphemeralClient(), chromadb.{call}
        first.create_collection("notes")
        assert second.get_collection("notes").name == "notes"
    """)


def test_the_shared_database_stays_until_its_last_client_closes(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        first, second = chromadb.EphemeralClient(), chromadb.EphemeralClient()
        first.create_collection("notes")
        first.close()
        first.close()
        assert second.count_collections() == 1
        second.close()
        assert chromadb.EphemeralClient().count_collections() == 0
    """)


def test_clearing_the_cache_begins_a_new_shared_database(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from chromadb.api.client import SharedSystemClient
        old = chromadb.EphemeralClient()
        old.create_collection("notes")
        SharedSystemClient.clear_system_cache()
        assert chromadb.EphemeralClient().count_collections() == 0
        assert old.count_collections() == 1
    """)


def test_settings_name_the_folder(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from chromadb.config import Settings
        client = chromadb.Client(Settings(is_persistent=True, persist_directory="db", anonymized_telemetry=False))
        client.create_collection("notes")
        assert chromadb.PersistentClient("db").count_collections() == 1
    """)


def test_settings_changed_after_they_were_made_count(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        settings = chromadb.Settings()
        settings.is_persistent = True
        settings.persist_directory = "db"
        chromadb.Client(settings).create_collection("notes")
        assert chromadb.PersistentClient("db").count_collections() == 1
    """)


def test_settings_of_a_persistent_client_are_left_as_they_are(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        settings = chromadb.Settings()
        chromadb.PersistentClient("db", settings=settings)
        assert not settings.is_persistent
    """)


def test_settings_come_from_the_environment_too(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import os
        os.environ.update(IS_PERSISTENT="true", PERSIST_DIRECTORY="db")
        import chromadb
        chromadb.Client().create_collection("notes")
        assert chromadb.PersistentClient("db").count_collections() == 1
    """)


def test_configured_settings_are_those_of_a_client_made_without(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        chromadb.configure(is_persistent=True, persist_directory="db")
        chromadb.Client().create_collection("notes")
        assert chromadb.PersistentClient("db").count_collections() == 1
    """)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ("is_persistent='maybe'", "is_persistent is 'maybe'"),
        ("persist_directory=None", "persist_directory is None"),
        ("chroma_db_impl='duckdb+parquet'", "chroma_db_impl is 'duckdb+parquet'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(run_chroma_script: Script, values: str, named: str) -> None:
    printed = run_chroma_script(f"""
        from chromadb.config import Settings
        try:
            Settings({values})
        except ValueError as error:
            print(error)
    """)
    assert printed.startswith(named)


def test_reset_needs_the_settings_of_its_own_client(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        careful = chromadb.EphemeralClient()
        careful.create_collection("notes")
        try:
            careful.reset()
        except ValueError as error:
            assert "allow_reset" in str(error)
        assert careful.count_collections() == 1
        assert chromadb.EphemeralClient(chromadb.Settings(allow_reset=True)).reset()
        assert careful.count_collections() == 0
    """)


def test_tenants_and_databases_are_made_by_an_admin_client(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from chromadb.config import DEFAULT_TENANT, Settings
        settings = Settings(
            chroma_api_impl="chromadb.api.segment.SegmentAPI", is_persistent=True, persist_directory="db"
        )
        admin = chromadb.AdminClient(settings)
        admin.create_tenant("acme")
        admin.create_database("letters", "acme")
        client = chromadb.PersistentClient("db", tenant="acme", database="letters")
        client.create_collection("notes")
        client.set_tenant(DEFAULT_TENANT)
        assert client.count_collections() == 0
    """)


@pytest.mark.parametrize("call", ["CloudClient(tenant='t', database='d', api_key='k')", "RustClient()"])
def test_a_client_there_is_not_is_refused_with_what_to_do(run_chroma_script: Script, call: str) -> None:
    printed = run_chroma_script(f"""
        import chromadb
        try:
            chromadb.{call}
        except ochre.errors.UnsupportedError as error:
            print(error)
    """)
    assert "not supported yet" in printed
    assert "PersistentClient(path)" in printed


@pytest.mark.parametrize("call", ["PersistentClient('db', tenant='nobody')", "EphemeralClient(database='nothing')"])
def test_a_tenant_or_database_that_is_not_there_is_an_error(run_chroma_script: Script, call: str) -> None:
    run_chroma_script(f"""
        import chromadb
        from chromadb.errors import NotFoundError
        try:
            chromadb.{call}
        except NotFoundError:
            pass
        else:
            raise SystemExit("no error")
    """)


# -- of a server ------------------------------------------------------------------------------------------------


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with live(open_engine(tmp_path / "served", Settings(allow_reset=True))) as url:
        yield int(url.rpartition(":")[2])


@pytest.mark.parametrize(
    "call",
    [
        "HttpClient('127.0.0.1', PORT)",
        "HttpClient(f'http://127.0.0.1:{PORT}')",
        "Client(Settings(chroma_api_impl='rest', **server))",
        "Client(Settings(chroma_api_impl='chromadb.api.fastapi.FastAPI', **server))",
    ],
)
def test_a_client_of_a_server_does_what_any_client_does(run_chroma_script: Script, port: int, call: str) -> None:
    run_chroma_script(f"""
        import chromadb
        from chromadb.config import Settings
        PORT = {port}
        server = dict(chroma_server_host="127.0.0.1", chroma_server_http_port=str(PORT))
        with chromadb.{call} as client:
            assert isinstance(client, chromadb.ClientAPI) and client._identifier
            notes = client.create_collection("notes")
            notes.add(ids=["1"], embeddings=[[1, 2]], documents=["one"])
            assert notes.query(query_embeddings=[[1, 2]])["documents"] == [["one"]]
            assert client.get_version() == "1.0.0"
            assert client.reset() and client.count_collections() == 0
    """)


def test_an_asynchronous_client_of_a_server_does_too(run_chroma_script: Script, port: int) -> None:
    run_chroma_script(f"""
        import asyncio
        import chromadb
        from chromadb.api.async_client import AsyncAdminClient
        from chromadb.api.models.AsyncCollection import AsyncCollection

        async def main():
            client = await chromadb.AsyncHttpClient("127.0.0.1", {port})
            assert isinstance(client, chromadb.AsyncClientAPI) and isinstance(client, chromadb.AsyncClientCreator)
            notes = await client.create_collection("notes")
            assert isinstance(notes, AsyncCollection)
            await notes.add(ids=["1"], embeddings=[[1, 2]], documents=["one"])
            assert (await notes.get())["documents"] == ["one"]
            admin = AsyncAdminClient(client.get_settings())
            assert [database["name"] for database in await admin.list_databases()] == ["default_database"]
            await admin.close()
            await client.close()

        asyncio.run(main())
    """)


def test_an_admin_client_manages_a_server(run_chroma_script: Script, port: int) -> None:
    run_chroma_script(f"""
        import chromadb
        client = chromadb.HttpClient("127.0.0.1", {port})
        with chromadb.AdminClient(client.get_settings()) as admin:
            admin.create_tenant("acme")
            admin.create_database("letters", "acme")
        client.set_tenant("acme", "letters")
        client.close()
    """)


def test_credentials_in_the_settings_open_a_server(run_chroma_script: Script, tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "served")
    _, secret = keys.create("ann", "read")
    with live(open_engine(tmp_path / "served"), keys=keys) as url:
        printed = run_chroma_script(f"""
            import os
            import chromadb
            os.environ["CHROMA_CLIENT_AUTH_PROVIDER"] = "chromadb.auth.token_authn.TokenAuthClientProvider"
            os.environ["CHROMA_CLIENT_AUTH_CREDENTIALS"] = {secret!r}
            print(chromadb.HttpClient({url!r}).get_user_identity().user_id)
            os.environ["CHROMA_CLIENT_AUTH_CREDENTIALS"] = "other"
            try:
                chromadb.HttpClient({url!r})
            except chromadb.errors.ChromaAuthError:
                print("refused")
        """)
    assert printed.split() == ["ann", "refused"]


def test_settings_that_name_another_server_are_refused(run_chroma_script: Script) -> None:
    printed = run_chroma_script("""
        import chromadb
        try:
            chromadb.HttpClient("here", settings=chromadb.Settings(chroma_server_host="there"))
        except ValueError as error:
            print(error)
    """)
    assert printed.startswith("settings.chroma_server_host is 'there', but the argument is 'here'")


# -- what programs ask of them ----------------------------------------------------------------------------------


def test_stopping_the_system_closes_the_client(run_chroma_script: Script) -> None:
    printed = run_chroma_script("""
        import shutil
        import chromadb
        from chromadb.api.client import SharedSystemClient
        client = chromadb.PersistentClient("db")
        SharedSystemClient._identifier_to_system.pop(client._identifier, None)
        client._system.stop()
        shutil.rmtree("db")
        try:
            client.count_collections()
        except RuntimeError:
            print("closed")
    """)
    assert printed == "closed"


def test_handles_are_instances_of_the_names_in_annotations(run_chroma_script: Script) -> None:
    run_chroma_script("""
        import chromadb
        from chromadb.api import AdminAPI, AsyncClientAPI, ClientAPI
        from chromadb.api.models.Collection import Collection
        client = chromadb.EphemeralClient()
        assert isinstance(client, ClientAPI) and isinstance(client, chromadb.ClientCreator)
        assert not isinstance(client, AsyncClientAPI)
        assert isinstance(chromadb.AdminClient(), AdminAPI)
        assert isinstance(client.create_collection("notes"), Collection) and chromadb.Collection is Collection
    """)
