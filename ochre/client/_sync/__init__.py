# Made by tools/unasync.py from ochre/client/_async/__init__.py: change that file, then run `make format`.
"""The synchronous clients."""
