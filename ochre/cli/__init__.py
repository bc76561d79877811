"""The command line: `ochre`. The only part of the package that prints."""
