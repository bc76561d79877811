"""Embedding functions: what turns texts and images into vectors, under names that a collection can remember."""
