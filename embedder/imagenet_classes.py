"""The 1000 classes of ImageNet's 2012 challenge, in the order of the scores of every ImageNet backbone.

`imagenet_classes.tsv` has a line a class: its WordNet number and its first WordNet name; the names of the two
cranes and of the two maillots say which one is meant. The numbers and their names were taken from the files
`imagenet_synsets.txt` and `imagenet_synset_to_lemma.txt` of timm 1.0.31 (Apache-2.0); the names are WordNet's
(WordNet 3.0, Princeton University, under its own permissive licence).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names, each only once."""
    text = files("embedder").joinpath("imagenet_classes.tsv").read_text(encoding="utf-8")
    return tuple(line.split("\t")[1] for line in text.splitlines())
