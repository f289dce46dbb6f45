"""What `embank regroup` found: printed, as JSON, as a scheme file and as a label table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from classifiers import Scheme, SchemeError
from classifiers.regrouping import (
    ClassClusters,
    Merge,
    MergePath,
    Point,
    class_clusters,
    front,
    merge_path,
    merges,
    regrouped,
    schemes_yaml,
)
from classifiers.results import Comparison, Result
from classifiers.splits import group_values
from classifiers.suggestions import counted
from classifiers.targets import labelled
from embank.console import interval, percent, print_table, say
from store import FeatureStore
from store.commit import write_file

_SHOWN_EXAMPLES = 3


@dataclass(frozen=True)
class Regrouping:
    """Merges of the classes of a scheme, clusters inside them, and the front over all schemes that were compared.

    `points` are those of the front and all of the scheme itself.
    """

    scheme: Scheme
    result: Result
    images: pd.DataFrame
    merges: list[Merge]
    path: MergePath
    clusters: list[ClassClusters]
    points: list[Point]
    most: int

    @classmethod
    def of(
        cls, store: FeatureStore, comparison: Comparison, scheme: Scheme, most: int, group: str | None
    ) -> Regrouping:
        """Raises SchemeError if the scheme could not be compared."""
        sentences = dict(comparison.errors)
        if scheme.name in sentences:
            raise SchemeError(sentences[scheme.name])
        for sentence in sentences.values():
            say(f"embank: {sentence}")
        numbers = {one.scheme: i for i, one in enumerate(comparison.results)}
        number = numbers[scheme.name]
        result = comparison.results[number]
        groups = None if group is None else group_values(comparison.images, group)
        single, path = merges(result, most, groups), merge_path(result, groups)
        rows = np.union1d(result.train, result.test)
        codes = result.labels.codes[rows]
        rows, codes = rows[labelled(codes)], codes[labelled(codes)]
        vectors = np.asarray(store.vectors(result.space, comparison.images.iloc[rows]))
        clusters = class_clusters(vectors, codes)
        points = front(comparison.results, {number: path})
        return cls(scheme, result, comparison.images.iloc[rows], single, path, clusters, points, most)

    def show(self) -> None:
        """Prints tables, and what they say in a sentence."""
        result, classes = self.result, counted(self.path.leaves, "class")
        print(
            f"{result.scheme}: {result.head} on {result.space}, {classes}, {percent(self.path.accuracy)} of "
            f"{counted(len(result.test), 'test image')} right, {self.path.entropy:.2f} bits a label"
        )
        self._show_merges()
        self._show_path()
        self._show_clusters()
        self._show_front()

    def document(self) -> dict[str, Any]:
        """All of it as plain values; examples are keys of images."""
        path, result = self.path, self.result
        return {
            **{"scheme": result.scheme, "head": result.head, "space": result.space},
            **{"classes": list(result.labels.classes), "n_test": len(result.test)},
            **{"accuracy": path.accuracy, "entropy": path.entropy},
            "merges": [_plain(one) | {"classes": self._names(one.classes)} for one in self.merges],
            "path": [
                _plain(step) | {"classes": left, "groups": [self._names(own) for own in path.groups(left)]}
                for left, step in self._steps()
            ],
            "clusters": [self._cluster_document(one) for one in self.clusters],
            "front": [point.to_dict() for point in self.points],
        }

    def write_schemes(self, out: Path, classes: int | None) -> None:
        """The merged schemes, or the one with so many classes, and what they are made from, as YAML."""
        levels = [left for left, _ in self._steps()] if classes is None else [classes]
        if not levels:
            raise SchemeError(f"{self.scheme.name!r} has two classes: there is nothing to merge.")
        names = self.result.labels.classes
        made = [
            regrouped(self.scheme, names, self.path.groups(left), f"{self.scheme.name}_{left}")
            for left in levels
        ]
        write_file(out, schemes_yaml(made).encode())

    def write_splits(self, out: Path, store: Path) -> None:
        """A label table: each image's class, with the number of its cluster where the class has clear ones."""
        on = "key" if self.images["key"].is_unique else "hash"
        values = np.full(len(self.images), None, object)
        for one in self.clusters:
            for number, members in enumerate(one.members, 1):
                name = self.result.labels.classes[one.code]
                values[members] = f"{name} {number}" if one.clear else name
        frame = pd.DataFrame({on: self.images[on].to_numpy(), f"{self.scheme.name}_split": values})
        write_file(out, frame.drop_duplicates().to_csv(index=False).encode())
        say(f"Clusters inside classes: {out}. Attach them with: embank labels {store} add {out} --on {on}")

    def _steps(self) -> list[tuple[int, Merge]]:
        """Each step to show, with the number of classes that it leaves."""
        return [(self.path.leaves - i, step) for i, step in enumerate(self.path.steps[: self.most], 1)]

    def _names(self, codes: tuple[int, ...]) -> list[str]:
        return [self.result.labels.classes[code] for code in codes]

    def _show_merges(self) -> None:
        rows = [[" + ".join(self._names(one.classes)), *_figures(one)] for one in self.merges]
        if rows:
            columns = ["classes", "accuracy", "gain", "95 % interval", "bits"]
            print_table("\nOne merge alone (of what one head says, not trained again)", columns, rows)

    def _show_path(self) -> None:
        rows = []
        for left, step in self._steps():
            first, second = (" + ".join(self._names(self.path.members(one))) for one in step.classes)
            rows.append([left, f"{first}  |  {second}", *_figures(step)])
        if rows:
            columns = ["classes left", "made one", "accuracy", "gain", "95 % interval", "bits"]
            print_table("\nMerge after merge, most accuracy for each bit given up first", columns, rows)
        else:
            print("Two classes: there is nothing to merge.")

    def _show_clusters(self) -> None:
        rows = []
        for one in self.clusters:
            sizes = " + ".join(str(len(own)) for own in one.members)
            seen = "–" if np.isnan(one.silhouette) else f"{one.silhouette:.2f}, by chance {one.chance:.2f}"
            remark = (
                f"agreement {one.stability:.2f}; look at them"
                if one.clear
                else f"no clear clusters: {one.reason}"
            )
            rows.append([self.result.labels.classes[one.code], sizes, seen, remark])
        print_table("\nClusters inside classes", ["class", "images", "silhouette", "what it means"], rows)
        for one in self.clusters:
            for number, rows_ in enumerate(one.examples if one.clear else (), 1):
                keys = ", ".join(self.images["key"].iloc[rows_[:_SHOWN_EXAMPLES]])
                print(f"{self.result.labels.classes[one.code]} {number}: such as {keys}")

    def _show_front(self) -> None:
        rows = [
            [
                one.scheme if one.merged is None else f"{one.scheme}, merged from {one.merged}",
                one.classes,
                percent(one.accuracy),
                f"{one.entropy:.2f}",
            ]
            for one in sorted(self.points, key=lambda one: -one.entropy)
            if one.on_front
        ]
        title = "\nWhat says most at each accuracy (no other scheme is both more accurate and more telling)"
        print_table(title, ["scheme", "classes", "accuracy", "bits"], rows)

    def _cluster_document(self, one: ClassClusters) -> dict[str, Any]:
        figures = {"silhouette": one.silhouette, "chance": one.chance, "stability": one.stability}
        return {
            "class": self.result.labels.classes[one.code],
            "clear": one.clear,
            "images": [len(own) for own in one.members],
            "examples": [self.images["key"].iloc[own].tolist() for own in one.examples],
            **{key: None if np.isnan(value) else value for key, value in figures.items()},
            "reason": one.reason,
        }


def _plain(one: Merge) -> dict[str, Any]:
    names = ("accuracy", "gain", "low", "high", "entropy")
    return {name: getattr(one, name) for name in names}


def _figures(one: Merge) -> list[str]:
    gained = interval(one.low, one.high)
    return [percent(one.accuracy), percent(one.gain), gained, f"{one.entropy:.2f}"]
