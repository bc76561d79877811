"""Clients: how they are opened and closed, what they say of themselves, tenants and databases."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import ochre
from ochre import ClientType, Collection, Settings
from ochre.errors import (
    AlreadyExistsError,
    ClosedError,
    ForbiddenError,
    InvalidArgumentError,
    InvalidTypeError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
)
from tests.client.conftest import everything, fill


class ForeignSettings:
    """Settings as an application made them for Chroma."""

    def __init__(self, *, allow_reset: bool = False, is_persistent: bool = False, persist_directory: str = "") -> None:
        self.allow_reset = allow_reset
        self.is_persistent = is_persistent
        self.persist_directory = persist_directory


def handles(folder: Path) -> list[str]:
    """The files of a folder that this process holds open or mapped."""
    process = psutil.Process()
    paths = [file.path for file in process.open_files()]
    if hasattr(process, "memory_maps"):
        paths += [area.path for area in process.memory_maps()]
    return [path for path in paths if path.startswith(str(folder.resolve()))]


def folder_of(client: ClientType) -> Path:
    return client._engine._folder


# -- opening ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path])
def test_what_a_persistent_client_wrote_is_there_when_the_folder_is_opened_again(tmp_path: Path, kind: Any) -> None:
    with ochre.PersistentClient(kind(tmp_path / "deep" / "db")) as client:
        collection = client.create_collection("things", embedding_function=None, metadata={"owner": "ann"})
        fill(collection)
        before = everything(collection)
    with ochre.PersistentClient(kind(tmp_path / "deep" / "db")) as client:
        collection = client.get_collection("things")
        assert collection.metadata == {"owner": "ann"}
        assert everything(collection) == before


@pytest.mark.parametrize("opened", [ochre.PersistentClient, ochre.Client])
def test_a_client_opened_to_read_refuses_to_write(tmp_path: Path, opened: Any) -> None:
    with ochre.PersistentClient(tmp_path) as client:
        fill(client.create_collection("things", embedding_function=None))
    with opened(tmp_path, mode="r") as client:
        collection = client.get_or_create_collection("things")
        assert collection.count() == 10
        with pytest.raises(ReadOnlyError):
            collection.delete(ids=["id0"])
        assert collection.count() == 10


def test_an_admin_client_opened_to_read_refuses_to_write(tmp_path: Path) -> None:
    ochre.PersistentClient(tmp_path).close()
    with ochre.AdminClient(tmp_path, mode="r") as admin:
        assert admin.get_tenant("default_tenant") == {"name": "default_tenant"}
        with pytest.raises(ReadOnlyError):
            admin.create_tenant("more")


def test_a_client_makes_a_backup(tmp_path: Path) -> None:
    with ochre.PersistentClient(tmp_path / "db") as client:
        fill(client.create_collection("things", embedding_function=None))
        report = client.backup(str(tmp_path / "backup"))
        assert (report.collections, report.records) == (1, 10)
        before = everything(client.get_collection("things"))
    with ochre.PersistentClient(tmp_path / "backup", mode="r") as client:
        assert everything(client.get_collection("things")) == before


def test_a_snapshot_is_opened_to_be_read_by_its_name(tmp_path: Path) -> None:
    with ochre.PersistentClient(tmp_path / "db") as client:
        fill(client.create_collection("things", embedding_function=None))
        client.snapshot(tmp_path / "x.ochre")
        before = everything(client.get_collection("things"))
    with ochre.Client(tmp_path / "x.ochre") as client:
        assert everything(client.get_collection("things")) == before
        with pytest.raises(ReadOnlyError):
            client.create_collection("more")


def test_a_client_erases_and_vacuums(tmp_path: Path) -> None:
    with ochre.PersistentClient(tmp_path / "db") as client:
        collection = client.create_collection("things", embedding_function=None)
        collection.add(ids=["a", "b"], embeddings=[[1.0], [2.0]], documents=["Sesame-one", "Sesame-two"])
        assert collection.delete(ids=["a"], erase=True) == {"deleted": 1}
        collection.delete(ids=["b"])
        content = b"".join(path.read_bytes() for path in (tmp_path / "db").rglob("*") if path.is_file())
        assert b"Sesame-one" not in content
        assert b"Sesame-two" in content
        report = client.vacuum()
        content = b"".join(path.read_bytes() for path in (tmp_path / "db").rglob("*") if path.is_file())
        assert b"Sesame-two" not in content
        assert report.before > report.after


@pytest.mark.parametrize("path", [3, None, b"bytes", "", "a\0b"])
def test_a_path_that_is_none_is_refused(client: ClientType, path: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="path is"):
        client.backup(path)


def test_a_mode_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="mode is 'rw': expected 'w', to read and write, or 'r'"):
        ochre.PersistentClient(tmp_path, mode="rw")
    with pytest.raises(InvalidArgumentError, match="there is no path: a temporary database is new and empty"):
        ochre.Client(mode="r")


def test_the_default_folder_is_ochre_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ochre.PersistentClient().close()
    assert [path.name for path in tmp_path.iterdir()] == ["ochre"]


def test_two_clients_of_a_folder_see_each_others_writes(tmp_path: Path) -> None:
    with ochre.PersistentClient(tmp_path) as one, ochre.PersistentClient(tmp_path) as other:
        fill(one.create_collection("things", embedding_function=None))
        seen = other.get_collection("things")
        assert seen.count() == 10
        seen.delete(ids=["id0"])
        assert one.get_collection("things").count() == 9


def test_each_ephemeral_client_has_a_database_of_its_own(client: ClientType) -> None:
    client.create_collection("things", embedding_function=None)
    with ochre.EphemeralClient() as other:
        assert other.list_collections() == []


def test_an_ephemeral_client_removes_its_folder_when_closed() -> None:
    client = ochre.EphemeralClient()
    folder = folder_of(client)
    assert folder.is_dir()
    client.close()
    assert not folder.exists()


def test_an_ephemeral_client_removes_its_folder_when_forgotten() -> None:
    client = ochre.EphemeralClient()
    folder = folder_of(client)
    del client
    gc.collect()
    assert not folder.exists()


def test_a_collection_keeps_the_database_of_a_forgotten_client_open() -> None:
    collection = ochre.EphemeralClient().create_collection("things", embedding_function=None)
    gc.collect()
    fill(collection)
    assert collection.count() == 10


def test_client_without_a_path_is_temporary() -> None:
    with ochre.Client() as client:
        folder = folder_of(client)
    assert not folder.exists()


def test_client_with_a_path_is_persistent(tmp_path: Path) -> None:
    with ochre.Client(tmp_path / "db") as client:
        client.create_collection("things", embedding_function=None)
    with ochre.PersistentClient(tmp_path / "db") as client:
        assert client.count_collections() == 1


def test_settings_made_for_chroma_name_the_folder(tmp_path: Path) -> None:
    settings = ForeignSettings(is_persistent=True, persist_directory=str(tmp_path / "db"), allow_reset=True)
    with ochre.Client(settings) as client:
        client.create_collection("things", embedding_function=None)
        assert client.reset()
    with ochre.Client(settings=settings) as client, ochre.AdminClient(settings) as admin:
        assert folder_of(client) == tmp_path / "db"
        assert [database["name"] for database in admin.list_databases()] == ["default_database"]


@pytest.mark.parametrize("path", [b"db", 5, None, "", "a\0b"])
def test_a_path_is_the_name_of_a_folder(path: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="path is"):
        ochre.PersistentClient(path)


@pytest.mark.parametrize("inside", ["file", "file/db"])
def test_a_file_in_place_of_the_folder_is_a_storage_error(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be used"):
        ochre.PersistentClient(tmp_path / inside)
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize("settings", [5, {}, "full", {"allow_reset": True}])
def test_settings_are_settings(tmp_path: Path, settings: Any) -> None:
    with pytest.raises(InvalidTypeError, match=r"expected ochre\.Settings"):
        ochre.PersistentClient(tmp_path, settings)


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        ({"allow_reset": "no"}, InvalidTypeError),
        ({"synchronous": "sometimes"}, InvalidArgumentError),
        ({"synchronous": []}, InvalidArgumentError),
        ({"busy_timeout": -1}, InvalidArgumentError),
        ({"busy_timeout": float("nan")}, InvalidArgumentError),
        ({"busy_timeout": True}, InvalidTypeError),
        ({"busy_timeout": "1"}, InvalidTypeError),
        ({"max_open_collections": 0}, InvalidArgumentError),
        ({"max_open_collections": 1.5}, InvalidTypeError),
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_refused(choice: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{next(iter(choice))} is .*: expected"):
        Settings(**choice)


@pytest.mark.parametrize("where", [{"tenant": "nobody"}, {"database": "nowhere"}])
def test_a_client_of_an_unknown_tenant_or_database_is_not_opened(tmp_path: Path, where: dict[str, str]) -> None:
    with pytest.raises(NotFoundError, match="not found") as caught:
        ochre.PersistentClient(tmp_path, **where)
    assert caught.tb, "the error keeps the frames, and what they hold, alive"
    assert handles(tmp_path) == []


# -- closing ----------------------------------------------------------------------------------------------------


def test_close_releases_every_file_at_once(tmp_path: Path) -> None:
    client = ochre.PersistentClient(tmp_path / "db")
    for name in ("one", "two"):
        collection = client.create_collection(name, embedding_function=None)
        fill(collection)
        collection.query(query_embeddings=[[1, 0]], where={"even": True})
    scan = collection.scan(batch_size=2)
    next(scan)
    assert handles(tmp_path)
    client.close()
    assert handles(tmp_path) == []
    shutil.rmtree(tmp_path / "db")
    assert not (tmp_path / "db").exists()


def test_a_with_statement_closes_when_its_body_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), ochre.PersistentClient(tmp_path) as client:
        fill(client.create_collection("things", embedding_function=None))
        raise KeyError("a mistake")
    assert handles(tmp_path) == []
    with ochre.PersistentClient(tmp_path) as client:
        assert client.get_collection("things").count() == 10


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    client = ochre.PersistentClient(tmp_path)
    client.close()
    client.close()


CALLS: dict[str, Callable[[ClientType, Collection], Any]] = {
    "list_collections": lambda client, _: client.list_collections(),
    "create_collection": lambda client, _: client.create_collection("other", embedding_function=None),
    "delete_collection": lambda client, _: client.delete_collection("filled"),
    "set_database": lambda client, _: client.set_database("default_database"),
    "reset": lambda client, _: client.reset(),
    "count": lambda _, collection: collection.count(),
    "get": lambda _, collection: collection.get(),
    "query": lambda _, collection: collection.query(query_embeddings=[[1, 0]]),
    "scan": lambda _, collection: next(collection.scan()),
    "add": lambda _, collection: collection.add("new", [1, 0]),
    "delete": lambda _, collection: collection.delete(ids="id0"),
    "modify": lambda _, collection: collection.modify(name="other"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_closed_client_says_that_it_is_closed(call: Callable[[ClientType, Collection], Any]) -> None:
    with ochre.EphemeralClient(Settings(allow_reset=True)) as client:
        collection = client.create_collection("filled", embedding_function=None)
        fill(collection)
        collection.count()
    with pytest.raises(ClosedError, match="closed"):
        call(client, collection)


# -- reset, and what a client says of itself ---------------------------------------------------------------------


def test_reset_is_off_unless_allowed(tmp_path: Path) -> None:
    with ochre.PersistentClient(tmp_path) as client:
        fill(client.create_collection("things", embedding_function=None))
        with pytest.raises(ForbiddenError, match="allow_reset=True"):
            client.reset()
        assert client.get_collection("things").count() == 10


def test_reset_deletes_everything_and_recreates_the_defaults(client: ClientType, filled: Collection) -> None:
    admin = ochre.AdminClient(client)
    admin.create_tenant("acme")
    admin.create_database("stock", "acme")
    assert client.reset() is True
    assert client.list_collections() == []
    with pytest.raises(NotFoundError, match=r"Collection .* does not exist"):
        filled.count()
    with pytest.raises(NotFoundError):
        admin.get_tenant("acme")
    assert [database["name"] for database in admin.list_databases()] == ["default_database"]
    fill(client.create_collection("filled", embedding_function=None))


def test_a_client_tells_about_itself(tmp_path: Path) -> None:
    settings = Settings(busy_timeout=5)
    with ochre.PersistentClient(tmp_path, settings) as client:
        assert client.heartbeat() > 1_600_000_000 * 10**9
        assert client.get_version() == ochre.__version__
        assert client.get_max_batch_size() >= 1_000_000
        assert client.get_settings() is settings
        assert (client.tenant, client.database) == ("default_tenant", "default_database")
        identity = client.get_user_identity()
        assert (identity.user_id, identity.tenant, identity.databases) == ("", "default_tenant", ["default_database"])
        client.clear_system_cache()


# -- tenants and databases ---------------------------------------------------------------------------------------


@pytest.fixture
def admin(client: ClientType) -> ochre.AdminClientType:
    return ochre.AdminClient(client)


def test_an_admin_client_of_a_client_leaves_it_open(client: ClientType) -> None:
    with ochre.AdminClient(client) as admin:
        admin.create_database("stock")
    client.set_database("stock")


def test_an_admin_client_of_a_folder_closes_it(tmp_path: Path) -> None:
    with ochre.AdminClient(tmp_path) as admin:
        admin.create_tenant("acme")
        assert handles(tmp_path)
    assert handles(tmp_path) == []
    with pytest.raises(ClosedError):
        admin.get_tenant("acme")


@pytest.mark.parametrize("source", [5, None, b"db", ""])
def test_an_admin_client_needs_a_folder_or_a_client(source: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        ochre.AdminClient(source)


def test_an_admin_client_of_settings_without_a_folder_has_nothing_to_manage() -> None:
    with pytest.raises(InvalidArgumentError, match="names no folder"):
        ochre.AdminClient(Settings())


def test_a_tenant_and_a_database_are_what_was_created(admin: ochre.AdminClientType) -> None:
    admin.create_tenant("an acme & co")
    admin.create_database("stock", "an acme & co")
    assert admin.get_tenant("an acme & co") == {"name": "an acme & co"}
    database = admin.get_database("stock", "an acme & co")
    assert (database["name"], database["tenant"]) == ("stock", "an acme & co")
    assert admin.list_databases(tenant="an acme & co") == [database]


def test_databases_are_listed_by_name_in_pages(admin: ochre.AdminClientType) -> None:
    for name in ("ccc", "aaa", "bbb"):
        admin.create_database(name)
    names = ["aaa", "bbb", "ccc", "default_database"]
    assert [database["name"] for database in admin.list_databases()] == names
    assert [database["name"] for database in admin.list_databases(limit=2, offset=1)] == names[1:3]
    assert admin.list_databases(limit=0) == []
    assert admin.list_databases(offset=4) == []
    assert admin.list_databases(tenant="nobody") == []


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda admin: admin.create_tenant("default_tenant"), AlreadyExistsError),
        (lambda admin: admin.create_database("default_database"), AlreadyExistsError),
        (lambda admin: admin.create_tenant("ab"), InvalidArgumentError),
        (lambda admin: admin.create_tenant("\ud800abc"), InvalidArgumentError),
        (lambda admin: admin.create_tenant(5), InvalidTypeError),
        (lambda admin: admin.create_database("ab"), InvalidArgumentError),
        (lambda admin: admin.create_database("a b"), InvalidArgumentError),
        (lambda admin: admin.create_database(None), InvalidTypeError),
        (lambda admin: admin.create_database("stock", "nobody"), NotFoundError),
        (lambda admin: admin.create_database("stock", 5), InvalidTypeError),
        (lambda admin: admin.get_tenant("nobody"), NotFoundError),
        (lambda admin: admin.get_tenant(["default_tenant"]), InvalidTypeError),
        (lambda admin: admin.get_database("nowhere"), NotFoundError),
        (lambda admin: admin.get_database("default_database", "nobody"), NotFoundError),
        (lambda admin: admin.get_database(5), InvalidTypeError),
        (lambda admin: admin.get_database("\ud800"), InvalidArgumentError),
        (lambda admin: admin.delete_database("nowhere"), NotFoundError),
        (lambda admin: admin.delete_database(["default_database"]), InvalidTypeError),
        (lambda admin: admin.list_databases(limit=-1), InvalidArgumentError),
        (lambda admin: admin.list_databases(offset="a"), InvalidTypeError),
        (lambda admin: admin.list_databases(tenant=[]), InvalidTypeError),
    ],
)
def test_a_bad_call_to_an_admin_client_changes_nothing(
    admin: ochre.AdminClientType, call: Callable[[Any], Any], error: type[Exception]
) -> None:
    before = admin.list_databases()
    with pytest.raises(error):
        call(admin)
    assert admin.list_databases() == before


def test_a_collection_belongs_to_one_database(client: ClientType, admin: ochre.AdminClientType) -> None:
    admin.create_tenant("acme")
    admin.create_database("stock", "acme")
    here = client.create_collection("things", embedding_function=None)
    client.set_tenant("acme", "stock")
    assert (client.tenant, client.database) == ("acme", "stock")
    there = client.create_collection("things", embedding_function=None)
    assert (there.tenant, there.database) == ("acme", "stock")
    there.add("only-there", [1])
    assert here.count() == 0
    assert client.count_collections() == 1
    with pytest.raises(NotFoundError, match="does not exist"):
        client.get_collection_by_id(here.id)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda client: client.set_tenant("nobody"), NotFoundError),
        (lambda client: client.set_tenant("default_tenant", "nowhere"), NotFoundError),
        (lambda client: client.set_tenant(5), InvalidTypeError),
        (lambda client: client.set_database("nowhere"), NotFoundError),
        (lambda client: client.set_database(None), InvalidTypeError),
        (lambda client: client.set_database("\ud800"), InvalidArgumentError),
    ],
)
def test_a_client_stays_where_it_is_when_the_other_place_is_unknown(
    client: ClientType, call: Callable[[Any], Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(client)
    assert (client.tenant, client.database) == ("default_tenant", "default_database")


def test_handles_of_a_deleted_database_are_stale(client: ClientType, admin: ochre.AdminClientType) -> None:
    admin.create_database("stock")
    client.set_database("stock")
    collection = client.create_collection("things", embedding_function=None)
    admin.delete_database("stock")
    for call in (collection.count, lambda: collection.add("new", [1])):
        with pytest.raises(NotFoundError, match=r"Collection .* does not exist"):
            call()
    assert client.list_collections() == []
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        client.create_collection("things", embedding_function=None)


def test_a_deleted_default_database_stays_deleted_until_it_is_created_again(tmp_path: Path) -> None:
    with ochre.AdminClient(tmp_path) as admin:
        admin.delete_database("default_database")
    with pytest.raises(NotFoundError):
        ochre.PersistentClient(tmp_path)
    with ochre.AdminClient(tmp_path) as admin:
        admin.create_database("default_database")
    ochre.PersistentClient(tmp_path).close()
