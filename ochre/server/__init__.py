"""The HTTP server: an engine behind Chroma's HTTP API, version 2. It is handed an engine and knows no other part of it."""
