"""Names of collections, databases and tenants."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ochre.errors import InvalidArgumentError, InvalidTypeError, InvalidUUIDError
from ochre.model.names import parse_collection_id, parse_collection_name, parse_database_name, parse_tenant_name

PARSERS = [parse_collection_name, parse_database_name]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "name",
    [
        "abc",
        "a-b",
        "a_b",
        "a.b",
        "ABC",
        "0a9",
        "a" * 512,
        "a.-_.b",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "abc+def",
        "a--b",
    ],
)
def test_a_good_name_is_kept(parse: Any, name: str) -> None:
    assert parse(name) == name


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "ab",
            "a" * 513,
            "a b",
            "-ab",
            "ab-",
            ".ab",
            "ab.",
            "_ab",
            "ab_",
            "a..b",
            "a/b",
            "abc\n",
            "äbc",
            "ab\u0660",
        ),
        *(
            "1.2.3.4",
            "127.0.0.1",
            "a+b",
            "abc+",
            "+abc",
            "abc+de",
            "abc+def+ghi",
            "abc+1.2.3.4",
            f"{'a' * 300}+{'b' * 300}",
        ),
    ],
)
def test_a_bad_name_is_refused_with_the_rule(parse: Any, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"is not valid: expected a name containing 3-512 characters from"):
        parse(name)


@pytest.mark.parametrize("parse", [*PARSERS, parse_tenant_name])
@pytest.mark.parametrize("name", [None, 5, b"abc", ["abc"]])
def test_a_name_is_a_string(parse: Any, name: Any) -> None:
    with pytest.raises(InvalidTypeError, match="must be a string"):
        parse(name)


@pytest.mark.parametrize("parse", [*PARSERS, parse_tenant_name])
def test_a_name_has_a_utf8_form(parse: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="lone surrogate"):
        parse("abc\ud800")


@given(st.text(alphabet="aZ0._-+1", max_size=12))
def test_a_name_is_valid_exactly_when_each_part_keeps_every_rule(name: str) -> None:
    def valid(part: str) -> bool:
        ends = part[:1].isalnum() and part[-1:].isalnum()
        numbers = part.split(".")
        address = len(numbers) == 4 and all(n.isdigit() and int(n) < 256 and str(int(n)) == n for n in numbers)
        return len(part) >= 3 and ends and ".." not in part and not address

    parts = name.split("+")
    expected = len(parts) <= 2 and all(map(valid, parts))
    try:
        found = parse_collection_name(name) == name
    except InvalidArgumentError:
        found = False
    assert found == expected


@pytest.mark.parametrize("name", ["x y z", "日本語", "1.2.3.4", "..."])
def test_a_tenants_name_is_any_text_of_three_characters(name: str) -> None:
    assert parse_tenant_name(name) == name
    with pytest.raises(InvalidArgumentError, match="'xy' is too short: 3 characters or more"):
        parse_tenant_name("xy")


def test_an_id_is_a_uuid_or_its_text() -> None:
    collection = UUID("00000000-0000-4000-8000-000000000001")
    for value in (collection, str(collection), str(collection).upper(), collection.hex):
        assert parse_collection_id(value) == collection
    for value in ("", "things", None, 5, b"\0" * 16):
        with pytest.raises(InvalidUUIDError, match="is not a UUID"):
            parse_collection_id(value)
