"""Honest figures beside an accuracy: what else could explain it, and how high it could be."""
