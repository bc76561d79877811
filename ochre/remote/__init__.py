"""An engine on another machine: the `Engine` protocol over the HTTP API.

`_async` is written by hand, `_sync` is made of it by `tools/unasync.py`.
"""
