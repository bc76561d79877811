"""Torture: processes that are killed, disks that fail, power that goes, and an account of what was acknowledged.

`python -m tests.torture` runs the sweeps one after the other and prints what each came to; `make torture` does it for
long. Every sweep prints its seed, and the same seed does the same again. Linux only: it forks and looks into /proc.
"""
