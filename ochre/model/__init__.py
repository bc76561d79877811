"""Pure values: what a request, a record, a filter and a collection's settings may be. No I/O, no engine."""
