"""Reading a folder that Chroma 0.4 to 1.5 wrote, sound or damaged, without Chroma and without changing it.

What such a folder holds: in `chroma.sqlite3` the catalog, the records' documents and metadata (of a *metadata
segment*), and a queue of writes; and for each collection a folder named by its *vector segment* with an hnswlib index,
which has got up to a certain entry of the queue. A record's vector is in the index, or still in the queue.

`folder` opens the SQLite file, `salvage` copies what can be read of a damaged one, `catalog` finds the collections,
`queue` replays writes, `index` and `pickles` read an index, `records` joins all of it.
"""
