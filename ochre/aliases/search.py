"""What `chromadb.execution.expression` holds, and the schema: Chroma's search expressions. None is supported yet."""

from __future__ import annotations

from ochre.aliases.unsupported import unsupported

__all__ = [
    "Aggregate",
    "BoolInvertedIndexConfig",
    "Cmek",
    "FloatInvertedIndexConfig",
    "FtsIndexConfig",
    "GroupBy",
    "HnswIndexConfig",
    "IntInvertedIndexConfig",
    "K",
    "Key",
    "Knn",
    "Limit",
    "MaxK",
    "MinK",
    "Rank",
    "ReadLevel",
    "Rrf",
    "Schema",
    "Search",
    "SearchResult",
    "Select",
    "SpannIndexConfig",
    "SparseEmbeddingFunction",
    "SparseVectorIndexConfig",
    "StringInvertedIndexConfig",
    "Val",
    "VectorIndexConfig",
]

_QUERY = "use collection.query(...) or collection.get(...)"
_CONFIGURATION = (
    "pass configuration={'hnsw': {...}} for the index; every metadata key can be filtered as it is, without an index"
)
_EMBED = "embed with an EmbeddingFunction; sparse vectors are stored as metadata, and not searched"

Aggregate = unsupported("Aggregate", _QUERY)
GroupBy = unsupported("GroupBy", _QUERY)
Key = K = unsupported("Key", _QUERY)
Knn = unsupported("Knn", _QUERY)
Limit = unsupported("Limit", _QUERY)
MaxK = unsupported("MaxK", _QUERY)
MinK = unsupported("MinK", _QUERY)
Rank = unsupported("Rank", _QUERY)
ReadLevel = unsupported("ReadLevel", _QUERY)
Rrf = unsupported("Rrf", _QUERY)
Search = unsupported("Search", _QUERY)
SearchResult = unsupported("SearchResult", _QUERY)
Select = unsupported("Select", _QUERY)
Val = unsupported("Val", _QUERY)

BoolInvertedIndexConfig = unsupported("BoolInvertedIndexConfig", _CONFIGURATION)
FloatInvertedIndexConfig = unsupported("FloatInvertedIndexConfig", _CONFIGURATION)
FtsIndexConfig = unsupported("FtsIndexConfig", _CONFIGURATION)
HnswIndexConfig = unsupported("HnswIndexConfig", _CONFIGURATION)
IntInvertedIndexConfig = unsupported("IntInvertedIndexConfig", _CONFIGURATION)
Schema = unsupported("Schema", _CONFIGURATION)
SpannIndexConfig = unsupported("SpannIndexConfig", _CONFIGURATION)
SparseVectorIndexConfig = unsupported("SparseVectorIndexConfig", _CONFIGURATION)
StringInvertedIndexConfig = unsupported("StringInvertedIndexConfig", _CONFIGURATION)
VectorIndexConfig = unsupported("VectorIndexConfig", _CONFIGURATION)

Cmek = unsupported("Cmek", "encrypt the disk that holds the folder")
SparseEmbeddingFunction = unsupported("SparseEmbeddingFunction", _EMBED)
