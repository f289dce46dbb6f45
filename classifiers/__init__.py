"""Label schemes, splits, heads and their comparison, on the vectors of a store."""

import store

if not hasattr(store, "FORMAT_VERSION"):
    raise ImportError(
        f"a foreign module called 'store' at {getattr(store, '__file__', None) or list(store.__path__)} hides "
        "embank's; rename it or remove it from the path."
    )

from classifiers.audits.audit import Audit
from classifiers.banked_rows import fit_ridge_on_store
from classifiers.by_parts import LeftOut
from classifiers.comparing import compare, run_comparison
from classifiers.default_schemes import default_schemes
from classifiers.dense import DenseHead
from classifiers.errors import (
    ClassifierError,
    ExpressionError,
    HeadError,
    HeadFileError,
    SchemeError,
    SearchError,
    SpaceMismatchError,
    SplitError,
    UnknownHeadError,
)
from classifiers.evaluating import evaluate_head
from classifiers.evaluation import Figures
from classifiers.fitting import fit_many
from classifiers.head_files import load_head, save_head
from classifiers.head_pairs import evaluate_heads
from classifiers.labels import Labels
from classifiers.logistic import LogisticHead
from classifiers.paired import Pair
from classifiers.presets import make_head, split_heads
from classifiers.results import Comparison, ComparisonInterrupted, Result
from classifiers.ridge import RidgeHead
from classifiers.saved_heads import SavedHead
from classifiers.scheme_files import load_schemes, read_schemes
from classifiers.schemes import Scheme
from classifiers.similarity import similar
from classifiers.training import train_head

__all__ = [
    "Audit",
    "ClassifierError",
    "Comparison",
    "ComparisonInterrupted",
    "DenseHead",
    "ExpressionError",
    "Figures",
    "HeadError",
    "HeadFileError",
    "Labels",
    "LeftOut",
    "LogisticHead",
    "Pair",
    "Result",
    "RidgeHead",
    "SavedHead",
    "Scheme",
    "SchemeError",
    "SearchError",
    "SpaceMismatchError",
    "SplitError",
    "UnknownHeadError",
    "compare",
    "default_schemes",
    "evaluate_head",
    "evaluate_heads",
    "fit_many",
    "fit_ridge_on_store",
    "load_head",
    "load_schemes",
    "make_head",
    "read_schemes",
    "run_comparison",
    "save_head",
    "similar",
    "split_heads",
    "train_head",
]
