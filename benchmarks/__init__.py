"""Speed and memory beside Chroma and LanceDB: `python -m benchmarks --help` says how, docs/performance.md the rest."""
