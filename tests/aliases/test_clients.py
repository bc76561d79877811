"""Clients under Chroma's name: which database each opens, and which of them there are not yet."""

from __future__ import annotations

import pytest

from tests.aliases.conftest import Script


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


@pytest.mark.parametrize(
    "call",
    [
        "HttpClient(host='localhost', port=8000)",
        "AsyncHttpClient()",
        "CloudClient(tenant='t', database='d', api_key='k')",
        "Client(chromadb.Settings(chroma_api_impl='rest', chroma_server_host='localhost'))",
        "AdminClient(chromadb.Settings(chroma_api_impl='chromadb.api.fastapi.FastAPI'))",
    ],
)
def test_a_client_of_a_server_is_refused_with_what_to_do(run_chroma_script: Script, call: str) -> None:
    printed = run_chroma_script(f"""
        import chromadb
        try:
            chromadb.{call}
        except ochre.errors.UnsupportedError as error:
            print(error)
    """)
    assert "not supported yet" in printed
    assert "PersistentClient(path)" in printed


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
