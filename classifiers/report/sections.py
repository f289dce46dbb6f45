"""What the template needs of one scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from classifiers.evaluation import Figures
from classifiers.report.calibration import reliability
from classifiers.report.charts import Chart
from classifiers.report.classes import LONGEST_LIST, class_rows, confusions, matrix
from classifiers.report.gallery import gallery
from classifiers.report.honest import audit_of, duplicates, evidence, label_errors, ladder
from classifiers.report.learning import epochs, few_shot
from classifiers.report.regroupings import merge_rows, path_rows
from classifiers.report.scheme_map import scheme_map
from classifiers.report.shown import Shown
from classifiers.report.vector_map import VectorMap
from classifiers.results import Comparison, Result

if TYPE_CHECKING:
    from classifiers.audits.audit import Audit
    from classifiers.curves import FewShot

_PICTURES = 600  # aimed at in the whole file
_FEWEST = 12  # a scheme
_SAMPLES = 36  # example pictures a scheme, shared out among its classes
_ERRORS = 12
_PAIRS = 6
_FIGURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "top_5_accuracy": "Top-5 accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision, macro",
    "micro_average_precision": "Average precision, micro",
    "log_loss": "Log-loss",
    "calibration_error": "Calibration error",
}


@dataclass
class Sections:
    """Makes the sections of a report, one a scheme, within its number of pictures."""

    comparison: Comparison
    shown: Shown
    schemes: int
    curves: Sequence[FewShot] = ()
    maps: Mapping[str, VectorMap] = field(default_factory=dict)

    def section(self, result: Result) -> dict[str, Any]:
        """The section of a scheme, by its most accurate result."""
        labels, share = result.labels, max(_FEWEST, _PICTURES // max(1, self.schemes))
        audit = audit_of(result, self.comparison.audits)
        place = self.maps.get(result.space)
        curves = [one for one in self.curves if one.scheme == result.scheme]
        return {
            "result": result,
            "names": labels.classes,
            "ladder": ladder(result, audit),
            "evidence": evidence(result, audit) if audit else [],
            "warnings": audit.warnings if audit else (),
            "figures": _figures(result.figures),
            "classes": class_rows(result, self.shown, min(_SAMPLES, share // 3)),
            "more_classes": max(0, len(labels.classes) - LONGEST_LIST),
            "matrix": matrix(result),
            "confusions": [] if labels.multilabel else confusions(result),
            "grid": gallery(result, self.shown, share // 3),
            "charts": self._charts(result, curves),
            "map": None if place is None else scheme_map(result, place, list(self.maps).index(result.space)),
            "merges": merge_rows(result),
            "path": path_rows(result),
            **self._suspects(result, audit, share // 3),
        }

    def _suspects(self, result: Result, audit: Audit | None, most: int) -> dict[str, Any]:
        """Likely label errors and pairs of near-duplicates, and how many there are of each."""
        if audit is None:
            return {"label_errors": [], "errors_in_all": 0, "pairs": [], "pairs_in_all": 0}
        noise, leaks = audit.noise, audit.leakage
        errors = label_errors(result, noise, self.shown, min(_ERRORS, most // 2)) if noise else []
        return {
            "label_errors": errors,
            "errors_in_all": noise.count if noise else 0,
            "pairs": duplicates(result, leaks, self.shown, min(_PAIRS, max(1, most // 4))),
            "pairs_in_all": leaks.same.total + leaks.near.total + leaks.conflicts.total,
        }

    def _charts(self, result: Result, curves: Sequence[FewShot]) -> list[Chart]:
        """Calibration, learning over images, learning over epochs: those that there are."""
        charts = [reliability(result), few_shot(curves)]
        dense = next(
            (
                one
                for one in (result, *self.comparison.results)
                if one.scheme == result.scheme and one.history and one.history.get("loss")
            ),
            None,
        )
        if dense is not None and dense.history:
            charts += epochs(dense.history, dense.head)
        return [chart for chart in charts if chart is not None]


def _figures(figures: Figures) -> list[dict[str, Any]]:
    """The figures that are defined, each with its interval."""
    flat = figures.to_dict()
    return [
        {"name": title, "value": flat[name], "low": flat[f"{name}_low"], "high": flat[f"{name}_high"]}
        | {"share": name != "log_loss"}
        for name, title in _FIGURES.items()
        if flat[name] is not None
    ]
