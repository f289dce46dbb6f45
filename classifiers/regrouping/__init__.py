"""Which classes to merge, which to split, and what a label says: changing a scheme by what a head found."""

from classifiers.regrouping.class_splits import ClassClusters, class_clusters, cut_class
from classifiers.regrouping.entropy import label_entropy
from classifiers.regrouping.merges import Merge, MergePath, merge_path, merges
from classifiers.regrouping.pareto import Point, front
from classifiers.regrouping.regrouped import regrouped, schemes_yaml

__all__ = [
    "ClassClusters",
    "Merge",
    "MergePath",
    "Point",
    "class_clusters",
    "cut_class",
    "front",
    "label_entropy",
    "merge_path",
    "merges",
    "regrouped",
    "schemes_yaml",
]
