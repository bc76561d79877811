"""The HTTP server: an engine behind version 2 of Chroma's HTTP API. It is handed the engine, and knows its protocol."""
