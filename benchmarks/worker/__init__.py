"""What is measured, one phase a process: `python -m benchmarks.worker SYSTEM PHASE ARGUMENTS` prints a result as JSON.

It runs in each system's own environment, from the root of the repository, and needs nothing but NumPy, the standard
library and the system itself.
"""
