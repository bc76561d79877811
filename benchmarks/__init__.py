"""Speed and memory, side by side with Chroma. `python -m benchmarks --help` says how; the README says what and why."""
