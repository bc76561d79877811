"""The asynchronous remote engine: the source of the synchronous one."""
