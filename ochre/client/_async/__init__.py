"""The asynchronous clients: the source of the synchronous ones."""
