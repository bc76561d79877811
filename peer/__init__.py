"""Chroma's own test-suite, run against its server, to learn what passes there, and against Ochre's, to pass too."""
