"""The user's cache: converted models, and which weights have which digest. May be deleted at any time."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory(*parts: str) -> Path:
    """`$EMBANK_CACHE`, else `$XDG_CACHE_HOME/embank`, else `~/.cache/embank`, with `parts` below it."""
    own = os.environ.get("EMBANK_CACHE")
    if own:
        return Path(own).joinpath(*parts)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).joinpath("embank", *parts)
