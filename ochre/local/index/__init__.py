"""Derived structures of a collection: they can be dropped at any moment and rebuilt from the records.

Modules here know vectors, ordinals and metadata; they know nothing of SQLite.
"""
