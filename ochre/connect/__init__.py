"""From a path or an address to a client: the only place that picks an engine.

`engines` makes engines of what users say, `clients` makes clients of engines, `tasks` the asynchronous ones. Nothing is
imported here: whoever wants no event loop waits for none to be loaded.
"""
