"""The version of the package, read by the build and by ``ochre --version``."""

__version__ = "0.1.0"
