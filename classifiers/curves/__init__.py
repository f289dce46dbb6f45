"""How many labels do I need? Learning curves over the number of labelled images."""

from classifiers.curves.banked_curves import few_shots, learning_curves
from classifiers.curves.few_shot import Labelled, few_shot, few_shot_together
from classifiers.curves.few_shot_curve import FewShot
from classifiers.curves.power_law import PowerLaw, fit_power_law

__all__ = [
    "FewShot",
    "Labelled",
    "PowerLaw",
    "few_shot",
    "few_shot_together",
    "few_shots",
    "fit_power_law",
    "learning_curves",
]
