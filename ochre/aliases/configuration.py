"""What `chromadb.api.collection_configuration` holds: the shapes of a collection's settings."""

from __future__ import annotations

from typing import Any, TypedDict

from ochre.model.vectors import Space

__all__ = [
    "CollectionConfiguration",
    "CollectionConfigurationInterface",
    "CreateCollectionConfiguration",
    "CreateHNSWConfiguration",
    "CreateSpannConfiguration",
    "HNSWConfiguration",
    "SpannConfiguration",
    "UpdateCollectionConfiguration",
    "UpdateHNSWConfiguration",
    "UpdateSpannConfiguration",
]


class UpdateHNSWConfiguration(TypedDict, total=False):
    """What may change of a graph index; `ochre.model.configuration.Hnsw` says what it means."""

    ef_search: int
    max_neighbors: int
    num_threads: int
    resize_factor: float
    sync_threshold: int
    batch_size: int


class HNSWConfiguration(UpdateHNSWConfiguration, total=False):
    """The settings of a graph index."""

    space: Space
    ef_construction: int


CreateHNSWConfiguration = HNSWConfiguration


class UpdateSpannConfiguration(TypedDict, total=False):
    """What may change of Chroma Cloud's index; it has no effect here."""

    search_nprobe: int
    ef_search: int


class SpannConfiguration(UpdateSpannConfiguration, total=False):
    """The settings of Chroma Cloud's index, of which `space` counts here."""

    space: Space
    write_nprobe: int
    ef_construction: int
    max_neighbors: int
    reassign_neighbor_count: int
    split_threshold: int
    merge_threshold: int


CreateSpannConfiguration = SpannConfiguration


class CreateCollectionConfiguration(TypedDict, total=False):
    """The settings of a new collection."""

    hnsw: HNSWConfiguration | None
    spann: SpannConfiguration | None
    embedding_function: Any


CollectionConfiguration = CollectionConfigurationInterface = CreateCollectionConfiguration


class UpdateCollectionConfiguration(TypedDict, total=False):
    """What may change of a collection's settings."""

    hnsw: UpdateHNSWConfiguration | None
    spann: UpdateSpannConfiguration | None
    embedding_function: Any
