"""Which figures make the rows of which table, and what was to be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.cases import GETS, QUERIES
from benchmarks.table import Figures, Row, at, bounded, figure, rate, row

QUERY_GOALS = {
    "query": 8.0,
    "query where 6 %": 100.0,
    "query where a range, $and": 100.0,
    "query $contains, common phrase": 100.0,
    "query $regex": 100.0,
}
GET_GOALS = {
    "get by id": 10.0,
    "get where, few match": 50.0,
    "get page of 100 at 50,000": 50.0,
    "get $contains, rare": 50.0,
}


def adding(figures: Figures) -> Iterator[Row]:
    """Rows of adding, and of asking meanwhile."""
    yield row(figures, "bulk add, batches of 5,000", rate("bulk"), "/s", higher=True, times=50)
    until = rate("bulk", seconds="indexed_seconds")
    yield row(figures, "bulk add until fully indexed", until, "/s", higher=True, times=5)
    yield row(figures, "one durable add", figure("single", "p50"), "ms", times=10)
    yield row(figures, "documents through the default model", rate("model"), "/s", higher=True, times=8)
    yield row(figures, "4 writing processes, 12,000 records", figure("processes", "seconds"), "s")
    yield row(figures, "query during a bulk add, p50", figure("busy", "p50"), "ms")
    slow = row(figures, "query during a bulk add, p99", figure("busy", "p99"), "ms")
    ours = slow.values["ochre"]
    yield bounded(slow, "under 10 ms", None if ours is None else ours < 10)
    yield row(figures, "the bulk add meanwhile", rate("busy"), "/s", higher=True)


def querying(figures: Figures) -> Iterator[Row]:
    """Rows of queries: time, then recall."""
    plain = at(figures, "ochre", "reads", "times", "query", "p50")
    for name in QUERIES:
        made = row(figures, name, figure("reads", "times", name, "p50"), "ms", times=QUERY_GOALS.get(name))
        ours = made.values["ochre"]
        if name == "query where 50 %" and ours and plain:
            made = bounded(made, "at most 3 times the plain query", ours <= 3 * plain)
        yield made
    yield row(
        figures, "100 queries in one call", figure("reads", "times", "100 queries in one call", "p50"), "ms", times=8
    )
    yield _against_faiss(figures)
    for name in QUERIES:
        made = row(figures, f"recall of {name}", figure("reads", "recall", name), "", higher=True)
        ours, theirs = made.values["ochre"], made.values["chroma"]
        if name == "query":
            yield bounded(made, "Chroma's", None if ours is None or theirs is None else ours >= theirs)
        else:
            yield bounded(made, "0.99", None if ours is None else ours >= 0.99)


def _against_faiss(figures: Figures) -> Row:
    ours = at(figures, "ochre", "reads", "times", "query", "p50")
    raw = at(figures, "ochre", "raw", "query")
    ratio = ours / raw if ours and raw else None
    made = Row("query, in calls of raw FAISS", {"ochre": ratio}, "")
    return bounded(made, "under 1.3", None if ratio is None else ratio < 1.3)


def getting(figures: Figures) -> Iterator[Row]:
    """Rows of reads without vectors."""
    made = row(figures, "count", figure("reads", "times", "count", "p50"), "ms")
    ours = made.values["ochre"]
    yield bounded(made, "under 0.02 ms", None if ours is None else ours < 0.02)
    for name in GETS:
        yield row(figures, name, figure("reads", "times", name, "p50"), "ms", times=GET_GOALS.get(name))


def starting(figures: Figures) -> Iterator[Row]:
    """Rows of new processes, of memory and of the disk."""
    yield row(figures, "import", figure("cold", "import_ms"), "ms")
    yield row(figures, "open and first query", figure("cold", "first_query_ms"), "ms")
    yield row(figures, "first filtered query", figure("cold", "first_filtered_ms"), "ms")
    yield row(figures, "these three together", figure("cold", "together_ms"), "ms", times=6)
    yield row(figures, "private memory of that process", figure("cold", "private_mb"), "MB", times=3)
    yield row(figures, "resident memory of that process", figure("cold", "resident_mb"), "MB")
    yield row(figures, "loader, after load and queries: private memory", figure("bulk", "after", "private_mb"), "MB")
    yield row(figures, "loader: growth of private memory", _growth, "MB", times=2)
    yield row(figures, "loader: resident memory", figure("bulk", "after", "resident_mb"), "MB")
    yield row(figures, "loader: peak of resident memory", figure("bulk", "peak_mb"), "MB")
    yield row(figures, "size on disk", figure("disk_mb"), "MB", times=1)


def _growth(measured: Figures) -> float | None:
    before, after = at(measured, "bulk", "before", "private_mb"), at(measured, "bulk", "after", "private_mb")
    return None if before is None or after is None else after - before


def many(figures: Figures) -> Iterator[Row]:
    """Rows of many small collections; none if that was not measured."""
    if at(figures, "ochre", "many") is None:
        return
    yield row(figures, "collections made in the time given", figure("many", "make", "collections"), "", higher=True)
    yield row(figures, "make a collection of 100 records", _making, "ms")
    yield row(figures, "open the folder, new process", figure("many", "use", "open_ms"), "ms")
    yield row(figures, "list all collections", figure("many", "use", "list_ms"), "ms")
    yield row(figures, "open a collection and query it, p50", figure("many", "use", "query", "p50"), "ms")
    yield row(figures, "open a collection and query it, p99", figure("many", "use", "query", "p99"), "ms")
    yield row(figures, "private memory after 1,000 of them", figure("many", "use", "private_mb"), "MB")
    yield row(figures, "open files then", figure("many", "use", "descriptors"), "")
    yield row(figures, "private memory of the maker", figure("many", "make", "private_mb"), "MB")
    yield row(figures, "open files of the maker", figure("many", "make", "descriptors"), "")
    yield row(figures, "size of many on disk", figure("many", "disk_mb"), "MB")


def _making(measured: Figures) -> float | None:
    made = at(measured, "many", "make")
    return made and made["seconds"] / made["collections"] * 1000


TABLES: dict[str, Callable[[Figures], Iterator[Row]]] = {
    "adding": adding,
    "querying": querying,
    "getting": getting,
    "starting": starting,
    "many": many,
}
