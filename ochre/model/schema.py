"""A collection's schema: which indexes it has for which metadata keys, in Chroma's words.

A schema decides what may be filtered: a condition whose index is switched off is refused. Everything else it can say,
the vector index's settings and the embedding function, is the collection's configuration told a second time:
`parse_schema` hands it over to there, and `Schema.to_public` takes it back from there. An index has a name that no
other value type uses, so a set of indexes is a map from names to on or off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ochre.errors import InvalidArgumentError, UnprocessableError, UnsupportedError
from ochre.model.configuration import Configuration, Hnsw, parse_envelope
from ochre.model.filters import ArrayContains, Compare, DocumentLeaf, Filter, In, leaves
from ochre.model.text import preview

DOCUMENT, EMBEDDING = "#document", "#embedding"

INDEXES: dict[str, tuple[str, ...]] = {
    "string": ("fts_index", "string_inverted_index"),
    "float_list": ("vector_index",),
    "sparse_vector": ("sparse_vector_index",),
    "int": ("int_inverted_index",),
    "float": ("float_inverted_index",),
    "bool": ("bool_inverted_index",),
}
"""Value types, and the indexes that each can have."""

_DEFAULTS = {
    "fts_index": False,
    "string_inverted_index": True,
    "vector_index": False,
    "sparse_vector_index": False,
    "int_inverted_index": True,
    "float_inverted_index": True,
    "bool_inverted_index": True,
}
_BUILT_IN = {
    DOCUMENT: {"fts_index": True, "string_inverted_index": False},
    EMBEDDING: {"vector_index": True},
}
_TYPE_OF = {index: kind for kind, indexes in INDEXES.items() for index in indexes}
_NAME_OF_TYPE = {str: "string", bool: "bool", int: "int", float: "float"}

MAX_KEYS = 1000
"""How many keys a schema takes up from the records by itself; more can be filtered, but are not listed."""

Indexes = Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Schema:
    """Which indexes are on.

    Attributes:
        defaults: for keys that `keys` does not name; every index is there.
        keys: by key; an index that is missing there follows the defaults.
    """

    defaults: Indexes = field(default_factory=lambda: dict(_DEFAULTS))
    keys: Mapping[str, Indexes] = field(default_factory=lambda: dict(_BUILT_IN))

    def enabled(self, key: str, index: str) -> bool:
        """Tell whether `index` is on for `key`."""
        return self.keys.get(key, {}).get(index, self.defaults[index])

    def check(self, filter_: Filter | None) -> None:
        """Refuse a filter that needs an index which is off.

        Raises:
            InvalidArgumentError: its message names the key.
        """
        for leaf in [] if filter_ is None else leaves(filter_):
            if isinstance(leaf, DocumentLeaf):
                if not self.enabled(DOCUMENT, "fts_index"):
                    raise InvalidArgumentError(
                        f"Cannot filter by document: the schema switches fts_index off for {DOCUMENT!r}; "
                        "filter by metadata, or copy the records into a collection that has it"
                    )
                continue
            if isinstance(leaf, Compare | ArrayContains | In):
                operand = leaf.operands[0] if isinstance(leaf, In) else leaf.operand
                kind = _NAME_OF_TYPE[type(operand)]
                if not self.enabled(leaf.key, f"{kind}_inverted_index"):
                    raise InvalidArgumentError(
                        f"Cannot filter using metadata key '{leaf.key}' with type '{kind}': the schema switches "
                        f"{kind}_inverted_index off for it; copy the records into a collection that has it"
                    )

    def discovered(self, kinds: Mapping[str, set[str]]) -> Schema:
        """Return the schema with the value types that records have brought: each takes the defaults' indexes.

        Args:
            kinds: value types by metadata key.
        """
        fresh: dict[str, dict[str, bool]] = {}
        for key, types in kinds.items():
            known = self.keys.get(key)
            if known is None and len(self.keys) + len(fresh) >= MAX_KEYS:
                continue
            for kind in sorted(types):
                if known is None or not any(index in known for index in INDEXES[kind]):
                    fresh.setdefault(key, {}).update((index, self.defaults[index]) for index in INDEXES[kind])
        if not fresh:  # as almost always: every write comes by here
            return self
        return Schema(self.defaults, {**self.keys, **{key: {**self.keys.get(key, {}), **fresh[key]} for key in fresh}})

    def to_dict(self) -> dict[str, Any]:
        """Return everything, as it is stored."""
        return asdict(self)

    def to_public(self, configuration: Configuration) -> dict[str, Any]:
        """Return what the API reports; the vector index's settings are those of `configuration`."""
        vector = _vector_config(configuration)
        keys = {key: _shown(indexes, {**vector, "source_key": DOCUMENT}) for key, indexes in self.keys.items()}
        return {"defaults": _shown(self.defaults, vector), "keys": keys}


def stored_schema(value: Mapping[str, Any]) -> Schema:
    """Build a schema from what `Schema.to_dict` returned."""
    return Schema(value["defaults"], value["keys"])


def parse_schema(value: object) -> tuple[Schema, Configuration]:
    """Parse a schema as clients send it.

    Args:
        value: `{"defaults": {...}, "keys": {key: {...}}}`; each entry maps value types to `{index: {"enabled": bool,
            "config": {...}}}`. What is missing takes its default.

    Returns:
        The schema, and the settings of the vector index that it holds.

    Raises:
        UnprocessableError: not of that shape. InvalidArgumentError: an index where it cannot be. UnsupportedError: it
            asks for encryption with a key of the customer's.
    """
    given = _mapping(value, "schema")
    keys = given.get("keys", given.get("key_overrides"))
    if keys is None or given.get("defaults") is None:
        raise UnprocessableError("schema needs both 'defaults' and 'keys': pass {} for one that says nothing")
    if given.get("cmek") is not None:
        _refuse_cmek(given["cmek"])
    entries = {"": _entry(given["defaults"], "")}
    for key, types in _mapping(keys, "schema.keys").items():
        entries[str(key)] = _entry(types, str(key))
        _check_key(str(key), types)
    for key, entry in entries.items():
        for index, (enabled, config) in entry.items():
            _check_index(key, index, config, enabled=enabled)
    defaults = _DEFAULTS | {index: enabled for index, (enabled, _) in entries.pop("").items()}
    named = {key: {index: enabled for index, (enabled, _) in entry.items()} for key, entry in entries.items()}
    merged = {key: _BUILT_IN.get(key, {}) | indexes for key, indexes in (_BUILT_IN | named).items()}
    return Schema(defaults, merged), _configuration(_entry(given["defaults"], ""), entries.get(EMBEDDING, {}))


def with_schema(value: object, configuration: Configuration) -> tuple[Schema, Configuration]:
    """Join a schema, as clients send it, and the configuration beside it; None stands for the default schema.

    Raises:
        InvalidArgumentError: both choose index settings, or different embedding functions; else as `parse_schema`.
    """
    if value is None:
        return Schema(), configuration
    schema, own = parse_schema(value)
    plain = Configuration()
    if configuration.hnsw != plain.hnsw and (schema != Schema() or own.hnsw not in {plain.hnsw, configuration.hnsw}):
        raise InvalidArgumentError("schema and configuration conflict: both choose index settings; give one of them")
    ours, theirs = configuration.embedding_function, own.embedding_function
    if _is_chosen(ours) and _is_chosen(theirs) and ours != theirs:
        raise InvalidArgumentError(
            "schema and configuration conflict: they name different embedding functions; name one"
        )
    function = theirs if _is_chosen(theirs) else ours or theirs
    hnsw = own.hnsw if configuration.hnsw == plain.hnsw else configuration.hnsw
    return schema, Configuration(hnsw, function)


def _is_chosen(function: Mapping[str, Any] | None) -> bool:
    """Tell whether somebody chose an embedding function: clients name the default one unasked."""
    return function is not None and function["type"] == "known" and function["name"] != "default"


def names_space(value: Mapping[str, Any]) -> bool:
    """Tell whether a schema that `parse_schema` accepts says how distance is measured."""
    keys = value.get("keys", value.get("key_overrides", {}))
    entries = _entry(value["defaults"], ""), _entry(keys.get(EMBEDDING) or {}, EMBEDDING)
    return any(entry.get("vector_index", (False, {}))[1].get("space") is not None for entry in entries)


Entry = dict[str, tuple[bool, Mapping[str, Any]]]
"""Per index: whether it is on, and its settings."""


def _entry(value: object, key: str) -> Entry:
    place = f"schema.keys[{key!r}]" if key else "schema.defaults"
    entry: Entry = {}
    for kind, indexes in _mapping(value, place).items():
        if indexes is None:
            continue
        name = str(kind).removeprefix("#")
        if name not in INDEXES:
            raise UnprocessableError(
                f"{place} has the value type {preview(kind)}: expected one of {', '.join(INDEXES)}"
            )
        for index, setting in _mapping(indexes, f"{place}.{name}").items():
            if setting is None:
                continue
            plain = str(index).removeprefix("$")
            if plain not in INDEXES[name]:
                raise UnprocessableError(
                    f"{place}.{name} has the index {preview(index)}: expected one of {', '.join(INDEXES[name])}"
                )
            body = _mapping(setting, f"{place}.{name}.{plain}")
            enabled = body.get("enabled")
            if not isinstance(enabled, bool):
                raise UnprocessableError(
                    f"{place}.{name}.{plain}.enabled is {preview(enabled)}: expected true or false"
                )
            entry[plain] = enabled, _mapping(body.get("config") or {}, f"{place}.{name}.{plain}.config")
    return entry


def _check_key(key: str, types: Mapping[str, Any]) -> None:
    """Refuse a key, or a value type of one, that can have no index, whether it is given any or not."""
    if not key:
        raise InvalidArgumentError("schema.keys has an empty key: name a key of the metadata, or use schema.defaults")
    if not key.startswith("#"):
        return
    if key not in _BUILT_IN:
        raise InvalidArgumentError(f"schema key {preview(key)} begins with '#': only {DOCUMENT} and {EMBEDDING} may")
    own = {_TYPE_OF[index] for index in _BUILT_IN[key]}
    for kind, indexes in types.items():
        if indexes is not None and str(kind).removeprefix("#") not in own:
            raise InvalidArgumentError(
                f"schema key {key!r} cannot have the value type {preview(kind)}: it has {', '.join(own)}"
            )


def _check_index(key: str, index: str, config: Mapping[str, Any], *, enabled: bool) -> None:
    """Refuse an index where it cannot be; `key` is empty for the defaults."""
    if not key:
        if enabled and index in {"vector_index", "sparse_vector_index", "fts_index"}:
            raise InvalidArgumentError(
                f"{index} cannot be on in the defaults of a schema: name the key that is to have it"
            )
    elif key == DOCUMENT and index == "string_inverted_index" and enabled:
        raise InvalidArgumentError(f"schema key {key!r} cannot have a string_inverted_index: use its fts_index")
    elif key != EMBEDDING and index == "vector_index":
        raise InvalidArgumentError(f"schema key {key!r} cannot have a vector_index: only {EMBEDDING} has one")
    elif key != DOCUMENT and index == "fts_index" and enabled:
        raise InvalidArgumentError(f"schema key {key!r} cannot have an fts_index: only {DOCUMENT} has one")
    if index == "vector_index":
        _check_vector(key, config)
    if index == "sparse_vector_index":
        _check_sparse(config, enabled=enabled)


def _check_vector(key: str, config: Mapping[str, Any]) -> None:
    source = config.get("source_key")
    if key and source is not None and source != DOCUMENT:  # that of the defaults has no effect, and Chroma takes any
        raise InvalidArgumentError(
            f"the source_key of a vector_index is {preview(source)}: it can only be {DOCUMENT!r}"
        )
    hnsw, spann = config.get("hnsw"), config.get("spann")
    if hnsw is not None and spann is not None:
        raise InvalidArgumentError(
            "a vector_index has both 'hnsw' and 'spann': a collection has one index; leave one out"
        )
    if spann is not None:
        _check_ranges(_mapping(spann, "spann"), _SPANN_RANGES, "spann")
    if hnsw is not None:
        _check_ranges(_mapping(hnsw, "hnsw"), {"batch_size": (2, None), "sync_threshold": (2, None)}, "hnsw")


def _check_sparse(config: Mapping[str, Any], *, enabled: bool) -> None:
    source, function = config.get("source_key"), config.get("embedding_function")
    if isinstance(source, str) and source.startswith("#") and source != DOCUMENT:
        raise InvalidArgumentError(f"source_key {preview(source)} begins with '#': only {DOCUMENT} may")
    if source is not None and (function is None or function.get("type") == "unknown"):
        raise InvalidArgumentError("a sparse_vector_index with a source_key needs an embedding_function: name one")
    if enabled:
        raise InvalidArgumentError(
            "Sparse vector indexing is not enabled in local: it comes in a later release; leave the index out"
        )


_SPANN_RANGES: dict[str, tuple[float | None, float | None]] = {
    "search_nprobe": (None, 128),
    "write_nprobe": (None, 64),
    "ef_construction": (None, 200),
    "ef_search": (None, 200),
    "max_neighbors": (None, 64),
    "search_rng_factor": (1.0, 1.0),
    "write_rng_factor": (1.0, 1.0),
    "search_rng_epsilon": (5.0, 10.0),
    "write_rng_epsilon": (5.0, 10.0),
    "num_samples_kmeans": (None, 1000),
    "initial_lambda": (100.0, 100.0),
    "center_drift_threshold": (0.1, 1.0),
    "split_threshold": (50, 200),
    "merge_threshold": (25, 100),
    "nreplica_count": (None, 8),
    "reassign_neighbor_count": (None, 64),
    "num_centers_to_merge_to": (None, 8),
}


def _check_ranges(given: Mapping[str, Any], ranges: Mapping[str, tuple[float | None, float | None]], what: str) -> None:
    if given.get("quantize") not in {None, False, "none"}:
        raise InvalidArgumentError(f"{what} sets quantize: quantisation is not the user's to choose; leave it out")
    for name, (least, most) in ranges.items():
        value = given.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UnprocessableError(f"{what}.{name} is {preview(value)}: expected a number")
        if (least is not None and value < least) or (most is not None and value > most):
            bounds = f"{'' if least is None else least}..{'' if most is None else most}"
            raise InvalidArgumentError(f"{what}.{name} is {value}: expected {bounds}")


def _refuse_cmek(cmek: object) -> None:
    name = _mapping(cmek, "schema.cmek").get("gcp")
    parts = str(name).split("/")
    if len(parts) != 8 or parts[::2] != ["projects", "locations", "keyRings", "cryptoKeys"] or not all(parts):
        raise InvalidArgumentError(
            f"schema.cmek.gcp is {preview(name)}: expected projects/P/locations/L/keyRings/R/cryptoKeys/K"
        )
    raise UnsupportedError("schema.cmek asks for encryption with a key of yours, which is not supported: leave it out")


def _configuration(defaults: Entry, embedding: Entry) -> Configuration:
    """Return the vector index's settings; what the key says comes before what the defaults say."""
    chosen: dict[str, Any] = {}
    for entry in (defaults, embedding):
        _, config = entry.get("vector_index", (False, {}))
        chosen |= {name: value for name, value in config.items() if value is not None}
    known = {item.name for item in fields(Hnsw)}
    settings = {name: value for name, value in (chosen.get("hnsw") or {}).items() if value is not None}
    if unknown := settings.keys() - known:
        raise UnprocessableError(f"unknown field {preview(min(unknown))} in hnsw: expected {', '.join(sorted(known))}")
    if chosen.get("space") is not None:
        settings["space"] = chosen["space"]
    return Configuration(Hnsw(**settings), parse_envelope(chosen.get("embedding_function")))


def _vector_config(configuration: Configuration) -> dict[str, Any]:
    hnsw = {name: value for name, value in asdict(configuration.hnsw).items() if name != "space"}
    config: dict[str, Any] = {"space": configuration.space, "hnsw": {**hnsw, "num_threads": configuration.hnsw.threads}}
    if configuration.embedding_function is not None:
        config["embedding_function"] = dict(configuration.embedding_function)
    return config


def _shown(indexes: Indexes, vector: Mapping[str, Any]) -> dict[str, Any]:
    configs: dict[str, Mapping[str, Any]] = {
        "vector_index": vector,
        "sparse_vector_index": {"embedding_function": {"type": "unknown"}, "bm25": False},
    }
    shown: dict[str, Any] = {}
    for index, enabled in indexes.items():
        shown.setdefault(_TYPE_OF[index], {})[index] = {"enabled": enabled, "config": dict(configs.get(index, {}))}
    return shown


def value_types(metadatas: Iterable[Mapping[str, Any] | None]) -> dict[str, set[str]]:
    """Return the value types that records' metadata holds, by key. A None, and a value of None, is passed over."""
    there = [metadata for metadata in metadatas if metadata]
    pairs = {(key, type(value)) for metadata in there for key, value in metadata.items()}
    arrays = {key for key, kind in pairs if kind is list}
    if arrays:
        pairs |= {
            (key, type(value[0]))
            for metadata in there
            for key in arrays
            if isinstance(value := metadata.get(key), list) and value
        }
    kinds: dict[str, set[str]] = {}
    for key, kind in pairs:
        if kind in _NAME_OF_TYPE:
            kinds.setdefault(key, set()).add(_NAME_OF_TYPE[kind])
        elif kind not in {list, type(None)}:
            kinds.setdefault(key, set()).add("sparse_vector")
    return kinds


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnprocessableError(f"{what} is {preview(value)}: expected an object")
    return value
