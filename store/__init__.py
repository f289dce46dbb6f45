"""The files on disk: parts, listings, label tables; committed so that nothing is lost.

Names are loaded when they are first used: pandas and h5py take a third of a second to import, and a command
line that only prints its help should not wait for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from store.version import FORMAT_VERSION

if TYPE_CHECKING:
    from store.batches import iterate_batches as iterate_batches
    from store.batches import tf_dataset as tf_dataset
    from store.compaction import CompactReport as CompactReport
    from store.compaction import compact as compact
    from store.errors import LabelTableError as LabelTableError
    from store.errors import StoreError as StoreError
    from store.errors import StoreFormatError as StoreFormatError
    from store.errors import StoreNotFoundError as StoreNotFoundError
    from store.errors import StoreWriteError as StoreWriteError
    from store.errors import UnknownImageError as UnknownImageError
    from store.errors import UnknownSpaceError as UnknownSpaceError
    from store.exports import export as export
    from store.feature_store import FeatureStore as FeatureStore
    from store.imports import ImportReport as ImportReport
    from store.imports import import_vectors as import_vectors
    from store.merging import MergeReport as MergeReport
    from store.merging import merge as merge
    from store.removal import remove_source as remove_source
    from store.removal import remove_space as remove_space
    from store.space import Space as Space
    from store.vectors import Vectors as Vectors
    from store.writer import StoreWriter as StoreWriter

_HOMES = {
    "iterate_batches": "store.batches",
    "tf_dataset": "store.batches",
    "compact": "store.compaction",
    "CompactReport": "store.compaction",
    "export": "store.exports",
    "FeatureStore": "store.feature_store",
    "import_vectors": "store.imports",
    "ImportReport": "store.imports",
    "LabelTableError": "store.errors",
    "merge": "store.merging",
    "MergeReport": "store.merging",
    "remove_source": "store.removal",
    "remove_space": "store.removal",
    "Space": "store.space",
    "StoreError": "store.errors",
    "StoreFormatError": "store.errors",
    "StoreNotFoundError": "store.errors",
    "StoreWriteError": "store.errors",
    "StoreWriter": "store.writer",
    "UnknownImageError": "store.errors",
    "UnknownSpaceError": "store.errors",
    "Vectors": "store.vectors",
}
__all__ = ["FORMAT_VERSION", *_HOMES]  # noqa: PLE0604 (the keys are the names)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'store' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
