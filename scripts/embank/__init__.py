"""The command line of embank."""

__version__ = "0.1.0"
