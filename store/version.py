"""The version of the on-disk format, docs/format.md. A store of a higher one is refused."""

FORMAT_VERSION = 1
