"""Chroma's Python API over any engine: flexible input in, Chroma-shaped results out."""
