"""From a folder of Chroma's to a new one: what is read goes through a client, and what cannot go is written down."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ochre.connect.clients import AdminClient, PersistentClient
from ochre.errors import AlreadyExistsError, InvalidArgumentError, OchreError, StorageError, UnsupportedError
from ochre.migrate.chroma.catalog import Catalog, SourceCollection, read_catalog
from ochre.migrate.chroma.folder import ChromaFolder
from ochre.migrate.chroma.queue import Queue
from ochre.migrate.chroma.records import Records, orphans
from ochre.migrate.fitting import fit_collection_metadata, fit_name, settings_to_try, without_index_settings
from ochre.migrate.leftover import LeftOver
from ochre.migrate.report import CollectionReport, Report
from ochre.migrate.writing import CollectionWriter
from ochre.model.names import parse_collection_name, parse_database_name, parse_tenant_name
from ochre.model.requests import DEFAULT_DATABASE, DEFAULT_TENANT
from ochre.settings import Settings

if TYPE_CHECKING:
    from ochre.client._sync.client import Client
    from ochre.client._sync.collection import Collection

PathLike = str | os.PathLike[str]
Progress = Callable[[str, int, int | None], None]
"""Called with a collection's name, the records done, and how many there are."""


def examine(source: PathLike, *, progress: Progress | None = None) -> Report:
    """Read everything in a folder that Chroma wrote, and say what an import would bring; write nothing.

    Raises:
        NotFoundError: it is no such folder. CorruptError: its SQLite file is damaged beyond reading.
    """
    path = _folder(source)
    report = Report(path, None)
    with ChromaFolder(path) as folder, LeftOver(None) as left_over:
        _Import(folder, report, left_over, None, re_embed=False, progress=progress).run()
    return report


def from_chroma(
    source: PathLike, destination: PathLike, *, re_embed: bool = False, progress: Progress | None = None
) -> Report:
    """Import a folder that Chroma 0.4 to 1.5 wrote into a new database.

    Tenants, databases, collections and records come over, in the order of insertion. Chroma need not be installed, and
    the folder is not changed; stop what writes to it first. Records that cannot be imported are written to a file of
    JSON lines beside the destination, `<destination>.left-over.jsonl`.

    Args:
        source: Chroma's folder, with `chroma.sqlite3` in it.
        destination: a folder that is empty or not there. It appears when everything has been written, or not at all.
        re_embed: embed the documents of records that have lost their vector, with the collection's embedding function.
        progress: called as the work goes on.

    Raises:
        NotFoundError: the source is no such folder. CorruptError: its SQLite file is damaged beyond reading.
        AlreadyExistsError: the destination, or the file beside it, is there. InvalidArgumentError: one of the two
            folders is inside the other.
    """
    path, target = _folder(source), _folder(destination)
    _check_destination(path, target)
    report = Report(path, target)
    with ChromaFolder(path) as folder, LeftOver(target.with_name(f"{target.name}.left-over.jsonl")) as left_over:
        # Indexes are built by who opens the folder afterwards: meanwhile they would take memory and time.
        settings = Settings(background_indexing=False)
        with _new_folder(target) as workplace, PersistentClient(workplace, settings) as client:
            _Import(folder, report, left_over, client, re_embed=re_embed, progress=progress).run()
        report.left_over = left_over.written
    return report


def _folder(path: PathLike) -> Path:
    return Path(path).expanduser().absolute()


def _check_destination(source: Path, target: Path) -> None:
    inner, outer = target.resolve(), source.resolve()
    if outer in {inner, *inner.parents} or inner in outer.parents:
        raise InvalidArgumentError(f"{target} and {source} lie inside each other: choose a folder elsewhere")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AlreadyExistsError(f"{target} exists and is not empty: choose a folder that is not there yet")


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Give a place to work; it takes the target's name in the end, or is removed if the block fails."""
    workplace = target.with_name(f".{target.name}.{os.getpid()}.importing")
    try:
        yield workplace
        if target.exists():
            target.rmdir()
        workplace.rename(target)
    except OchreError:
        raise
    except OSError as error:
        raise StorageError(f"{target} cannot be made ({error})") from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


@dataclass(slots=True)
class _Import:
    """One run over a folder. Without a client it only reads."""

    folder: ChromaFolder
    report: Report
    left_over: LeftOver
    client: Client | None
    re_embed: bool
    progress: Progress | None

    def run(self) -> None:
        self.report.troubles += self.folder.troubles
        catalog = read_catalog(self.folder)
        places = self._make_places(catalog)
        queue = Queue(self.folder)
        taken: dict[tuple[str, str], set[str]] = {}
        for source in catalog.collections:
            tenant, database = places[source.tenant, source.database]
            name = fit_name(source.name, parse_collection_name, taken.setdefault((tenant, database), set()))
            taken[tenant, database].add(name)
            self._collection(queue, source, (tenant, database, name))
        if "embeddings" in self.folder.damaged:
            self._write_orphans()
        if self.folder.changed():
            self.report.troubles.append("another program wrote to the folder meanwhile: stop it and import anew")

    def _make_places(self, catalog: Catalog) -> dict[tuple[str, str], tuple[str, str]]:
        """Create tenants and databases; return what each pair of them is called here."""
        tenants: dict[str, str] = {}
        for tenant in catalog.tenants:
            tenants[tenant] = fit_name(tenant, parse_tenant_name, set(tenants.values()))
        places: dict[tuple[str, str], tuple[str, str]] = {}
        for tenant, database in catalog.databases:
            taken = {name for owner, name in places.values() if owner == tenants[tenant]}
            places[tenant, database] = (tenants[tenant], fit_name(database, parse_database_name, taken))
        if self.client is not None:
            admin = AdminClient(self.client)
            for name in tenants.values():
                if name != DEFAULT_TENANT:
                    admin.create_tenant(name)
            for owner, name in places.values():
                if (owner, name) != (DEFAULT_TENANT, DEFAULT_DATABASE):
                    admin.create_database(name, owner)
        return places

    def _collection(self, queue: Queue, source: SourceCollection, place: tuple[str, str, str]) -> None:
        was = (source.tenant, source.database, source.name)
        report = CollectionReport(*place, None if was == place else "/".join(was), source.id, source.space)
        self.report.collections.append(report)
        target = self._create(source, place, report)
        records = Records(self.folder, queue, source)
        report.troubles += records.troubles
        writer = CollectionWriter(report, self.left_over, target, source.dimension, self.re_embed)
        writer.without_length = records.without_length
        total = records.count()
        for done, record in enumerate(records, 1):
            writer.take(record)
            if self.progress is not None and (done % 1000 == 0 or done == total):
                self.progress(source.name, done, total)
        for record in records.unlisted():
            writer.take_unlisted(record, listed="embeddings" not in self.folder.damaged)
        writer.flush()

    def _create(
        self, source: SourceCollection, place: tuple[str, str, str], report: CollectionReport
    ) -> Collection | None:
        metadata, cut = fit_collection_metadata(source.metadata)
        if cut:
            report.troubles.append(f"of the collection's metadata, {', '.join(sorted(cut))} was left out")
        if self.client is None:
            return None
        self.client.set_tenant(place[0], place[1])
        attempts = list(settings_to_try(source))
        for step, (kept, settings) in enumerate(
            [(metadata, attempt) for attempt in attempts] + [(without_index_settings(metadata), attempts[-1])]
        ):
            try:
                made = self.client.create_collection(place[2], metadata=kept, embedding_function=None, **settings)
            except (InvalidArgumentError, UnsupportedError) as error:
                problem = error.message
                continue
            if made.configuration_json["hnsw"]["space"] == source.space:
                if step:
                    report.troubles.append(f"some of its settings were left out ({problem})")
                report.id = str(made.id)
                return made
            self.client.delete_collection(place[2])
            problem = "its metadata names another space than its index has"
        raise OchreError(f"collection {source.name!r} cannot be created: {problem}")

    def _write_orphans(self) -> None:
        count = 0
        for values in orphans(self.folder):
            fields = {
                "id": None,
                "document": values.pop("chroma:document", None),
                "uri": values.pop("chroma:uri", None),
            }
            self.left_over.add(None, "the id and the collection cannot be read", {**fields, "metadata": values or None})
            count += 1
        if count:
            self.report.troubles.append(f"of {count} records the id and the collection cannot be read")
