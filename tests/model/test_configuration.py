"""Settings of a collection: the three doors they come in by, their ranges, and what may change later."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from ochre.errors import InvalidArgumentError, InvalidTypeError
from ochre.model.configuration import (
    Configuration,
    Hnsw,
    parse_configuration,
    parse_envelope,
    stored_configuration,
    update_configuration,
)

KNOWN = {"type": "known", "name": "default", "config": {"a": [1, None]}}
WHOLE = ["ef_construction", "ef_search", "max_neighbors", "num_threads", "sync_threshold", "batch_size"]


def test_the_defaults_are_chromas_and_reported_in_its_form() -> None:
    assert parse_configuration(None).to_public() == {
        "hnsw": {
            "space": "l2",
            "ef_construction": 100,
            "ef_search": 100,
            "max_neighbors": 16,
            "resize_factor": 1.2,
            "sync_threshold": 1000,
        },
        "spann": None,
        "embedding_function": None,
    }


@pytest.mark.parametrize(
    ("value", "metadata", "expected"),
    [
        (None, None, Hnsw()),
        ({}, {}, Hnsw()),
        ({"hnsw": None, "spann": None, "unknown": 1}, None, Hnsw()),
        ({"hnsw": {"space": "cosine", "ef_search": None}}, None, Hnsw(space="cosine")),
        ({"hnsw": {"batch_size": 1, "sync_threshold": 1}}, None, Hnsw(batch_size=1, sync_threshold=1)),
        ({"spann": {"space": "ip", "ef_search": 9}}, None, Hnsw(space="ip")),
        ({"spann": {}}, None, Hnsw()),
        (None, {"hnsw:space": "ip", "other": "x"}, Hnsw(space="ip")),
        (None, {"hnsw:construction_ef": 1, "hnsw:search_ef": 2, "hnsw:M": 3}, Hnsw("l2", 1, 2, 3)),
        (None, {"hnsw:num_threads": 4, "hnsw:resize_factor": 2}, Hnsw(num_threads=4, resize_factor=2)),
        (None, {"hnsw:batch_size": 2, "hnsw:sync_threshold": 3}, Hnsw(batch_size=2, sync_threshold=3)),
        ({"hnsw": {}}, {"hnsw:space": "ip"}, Hnsw(space="ip")),
        ({"hnsw": {"space": "l2"}}, {"hnsw:space": "ip"}, Hnsw(space="ip")),
        ({"hnsw": {"space": "cosine"}}, {"hnsw:space": "ip", "hnsw:M": 3}, Hnsw(space="cosine")),
        ({"spann": {"space": "cosine"}}, {"hnsw:space": "ip"}, Hnsw(space="cosine")),
        ({"spann": {}}, {"hnsw:space": "ip", "hnsw:M": 3}, Hnsw()),
    ],
)
def test_settings_come_from_the_configuration_or_else_from_the_metadata(
    value: Any, metadata: Any, expected: Hnsw
) -> None:
    assert parse_configuration(value, metadata).hnsw == expected


@pytest.mark.parametrize(
    ("value", "metadata", "message"),
    [
        ("hnsw", None, "configuration is a str: expected a dict"),
        ({"hnsw": []}, None, "is a list: expected a dict"),
        ({"hnsw": {}, "spann": {}}, None, "both 'hnsw' and 'spann': a collection has one index"),
        ({"hnsw": {"spaces": "l2"}}, None, "unknown field 'spaces'.*expected batch_size"),
        ({"hnsw": {1: 2}}, None, "unknown field 1"),
        ({"spann": {"num_threads": 1}}, None, "unknown field 'num_threads'"),
        ({"hnsw": {"space": "l3"}}, None, "space 'l3' is unknown: expected one of l2, cosine, ip"),
        ({"spann": {"space": "L2"}}, None, "space 'L2' is unknown"),
        ({"embedding_function": "default"}, None, "is a str: expected a dict"),
        ({"spann": {}}, {"hnsw:foo": 1}, "unknown metadata key 'hnsw:foo'"),
        (None, {"hnsw:foo": 1}, "unknown metadata key 'hnsw:foo': of 'hnsw:' there are hnsw:space"),
        (None, {"hnsw:space": "l3"}, "space 'l3' is unknown"),
        (None, {"hnsw:M": "16"}, "max_neighbors '16' is not an int"),
        (None, {"hnsw:batch_size": 1}, "hnsw:batch_size is 1: pass 2 or more"),
        (None, {"hnsw:sync_threshold": 1}, "hnsw:sync_threshold is 1: pass 2 or more"),
    ],
)
def test_broken_settings_are_refused(value: Any, metadata: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        parse_configuration(value, metadata)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_whole_and_large_enough(name: str) -> None:
    lowest = 0 if name == "num_threads" else 1
    assert getattr(Hnsw(**{name: lowest}), name) == lowest
    with pytest.raises(InvalidArgumentError, match=f"{name} {lowest - 1} is too small"):
        Hnsw(**{name: lowest - 1})
    for value in (True, 1.0, "1", None, [1]):
        with pytest.raises(InvalidTypeError, match=f"{name} .* is not an int"):
            Hnsw(**{name: value})


@pytest.mark.parametrize("value", [True, "1.2", None])
def test_the_resize_factor_is_a_number(value: Any) -> None:
    with pytest.raises(InvalidTypeError, match="resize_factor .* is not a number"):
        Hnsw(resize_factor=value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_resize_factor_is_finite(value: float) -> None:
    """JSON has no word for anything else, and what cannot be stored cannot be read either."""
    with pytest.raises(InvalidArgumentError, match="resize_factor"):
        Hnsw(resize_factor=value)


def test_no_threads_means_all_of_them() -> None:
    assert Hnsw(num_threads=3).threads == 3
    assert Hnsw().threads >= 1


@pytest.mark.parametrize("envelope", [None, KNOWN, {"type": "legacy"}, {"type": "unknown"}, {"type": "legacy", "x": 1}])
def test_an_embedding_function_is_kept_as_it_came(envelope: Any) -> None:
    assert parse_envelope(envelope) == envelope
    assert parse_configuration({"embedding_function": envelope}).to_public()["embedding_function"] == envelope


@pytest.mark.parametrize(
    ("envelope", "message"),
    [
        ({}, "'known', 'legacy' or 'unknown', got None"),
        ({"type": "other"}, "got 'other'"),
        ({"type": "known"}, "has a 'name' and a 'config'"),
        ({"type": "known", "name": "x"}, "has a 'name' and a 'config'"),
        ({"type": "known", "name": 1, "config": {}}, "has a 'name' and a 'config'"),
        ({"type": "known", "name": "x", "config": []}, "has a 'name' and a 'config'"),
    ],
)
def test_an_embedding_function_without_its_parts_is_refused(envelope: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        parse_envelope(envelope)


def test_settings_survive_being_stored() -> None:
    changed = Hnsw("cosine", 1, 2, 3, 4, 5.5, 6, 7)
    assert all(getattr(changed, field.name) != field.default for field in fields(Hnsw))
    for configuration in (Configuration(), Configuration(changed, KNOWN)):
        assert stored_configuration(json.loads(json.dumps(configuration.to_dict()))) == configuration


@pytest.mark.parametrize(
    "name", ["ef_search", "max_neighbors", "num_threads", "resize_factor", "sync_threshold", "batch_size"]
)
def test_what_may_change_changes_alone(name: str) -> None:
    before = Configuration(Hnsw("ip", 9, 9, 9, 9, 9, 9, 9), KNOWN)
    after = update_configuration(before, {"hnsw": {name: 5}})
    assert getattr(after.hnsw, name) == 5
    assert [f.name for f in fields(Hnsw) if getattr(after.hnsw, f.name) != getattr(before.hnsw, f.name)] == [name]
    assert after.embedding_function == KNOWN


@pytest.mark.parametrize(
    "value", [None, {}, {"hnsw": None}, {"hnsw": {"ef_search": None}}, {"spann": {"ef_search": 5}}]
)
def test_a_change_of_nothing_changes_nothing(value: Any) -> None:
    before = Configuration(Hnsw("ip"), KNOWN)
    assert update_configuration(before, value) == before


def test_an_embedding_function_can_be_replaced() -> None:
    assert update_configuration(Configuration(), {"embedding_function": KNOWN}).embedding_function == KNOWN


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"hnsw": {"space": "l2"}}, "space is fixed when a collection is created.*it is 'ip'.*create another"),
        ({"hnsw": {"ef_construction": 5}}, "ef_construction is fixed"),
        ({"hnsw": {"unknown": 5}}, "unknown field 'unknown'"),
        ({"hnsw": {"ef_search": 0}}, "ef_search 0 is too small"),
        ({"hnsw": {}, "spann": {}}, "both 'hnsw' and 'spann'"),
        ({"embedding_function": {"type": "other"}}, "got 'other'"),
    ],
)
def test_a_change_that_breaks_a_rule_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        update_configuration(Configuration(Hnsw("ip")), value)
