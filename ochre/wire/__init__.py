"""The HTTP API's JSON: its shapes, and the way from and to requests and replies. Server and remote engine share it.

`bodies` are the shapes. `inbound` turns what a client sent into requests; `outbound` turns replies into what a client
expects. The remote engine goes the other way, in `client_side`.
"""
