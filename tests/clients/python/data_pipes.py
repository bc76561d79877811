"""chromadb-data-pipes against a server: data_pipes.py URL

Pipes `cdp export` into `cdp import` between collections, whole and in part. Left out is what the package itself
gets wrong, whatever the server: it drops `--where`, waits for ever with `--offset`, and refuses lists in metadata.
"""

from __future__ import annotations

import subprocess
import sysconfig
import uuid
from pathlib import Path
from typing import Any

import chromadb
from checks import HOST, PORT, URL, Checks, same

CDP = str(Path(sysconfig.get_path("scripts")) / "cdp")
RECORDS: dict[str, Any] = {
    "ids": ["apple", "bread", "carrot", "dates"],
    "embeddings": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.25, 0]],
    "documents": ["Apple pie", "Bread and butter", "Carrot cake", "Dates, dried"],
    "metadatas": [{"rank": 1, "fresh": True}, {"rank": 2, "price": 2.5}, {"rank": 3}, {"rank": 4}],
}


def pipe(*commands: list[str]) -> None:
    """Run `cdp` commands, each reading what the one before printed."""
    text = ""
    for command in commands:
        ended = subprocess.run([CDP, *command], input=text, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, f"cdp {command[0]}: {ended.stderr[-2000:]}"
        text = ended.stdout


check = Checks()
client = chromadb.HttpClient(HOST, PORT)
source, copy = (f"{word}-{uuid.uuid4()}" for word in ("source", "copy"))
client.create_collection(source, embedding_function=None).add(**RECORDS)


def stored(name: str) -> dict[str, Any]:
    found = client.get_collection(name).get(include=["documents", "metadatas", "embeddings"])
    return {
        **{key: found[key] for key in ("ids", "documents", "metadatas")},
        "embeddings": found["embeddings"].tolist(),
    }


with check("export | import copies a collection, in batches"):
    pipe(["export", f"{URL}/{source}?batch_size=3"], ["import", f"{URL}/{copy}", "--create", "--df", "cosine"])
    same(stored(copy), stored(source))
    same(client.get_collection(copy).configuration["hnsw"]["space"], "cosine")
with check("export of a part | import --upsert changes what is there"):
    client.get_collection(copy).update(ids=["bread"], documents=["?"], embeddings=[[9, 9, 9]], metadatas=[{"rank": 9}])
    pipe(["export", f"{URL}/{source}", "--limit", "2"], ["import", f"{URL}/{copy}", "--upsert"])
    same(stored(copy), stored(source))
for name in (source, copy):
    client.delete_collection(name)
check.done()
