"""The report of a comparison: one HTML file that is whole in itself."""

from classifiers.report.vector_map import VectorMap, vector_maps
from classifiers.report.writing import best_results, write_report

__all__ = ["VectorMap", "best_results", "vector_maps", "write_report"]
