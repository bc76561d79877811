"""What every engine is held to: the contract, a brute-force oracle, random data, and a stateful model.

It ships with the package, so that an engine of one's own can be held to it too. It needs pytest and hypothesis.
"""
