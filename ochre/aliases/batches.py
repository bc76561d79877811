"""What `chromadb.utils.batch_utils` holds."""

from __future__ import annotations

from typing import Any

__all__ = ["create_batches"]


def create_batches(
    api: Any, ids: Any, embeddings: Any = None, metadatas: Any = None, documents: Any = None
) -> list[tuple[Any, Any, Any, Any]]:
    """Cut the columns of a call into calls that a client takes; a column that is None stays None.

    Args:
        api: a client; its `get_max_batch_size` counts. Ochre's takes any number at once.
        ids: one a record, as the other columns.
        embeddings: vectors.
        metadatas: dicts.
        documents: texts.

    Returns:
        `(ids, embeddings, metadatas, documents)` of each call.
    """
    size = api.get_max_batch_size()
    columns = (ids, embeddings, metadatas, documents)
    if len(ids) <= size:
        return [columns]
    starts = range(0, len(ids), size)
    return [tuple(None if column is None else column[at : at + size] for column in columns) for at in starts]  # type: ignore[misc]  # four columns, as declared
