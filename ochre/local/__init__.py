"""The embedded engine: a folder on this machine, shared by any number of processes and threads."""
