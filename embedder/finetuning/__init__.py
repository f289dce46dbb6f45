"""Fine-tuning: the lower part of a backbone runs once and is banked, the upper part trains from the bank."""

from embedder.finetuning.banking import BankPlan, bank, is_banked, plan_bank
from embedder.finetuning.cut import Cut, find_cut
from embedder.finetuning.feeds import BankedFeed, PhotoFeed, open_feed
from embedder.finetuning.network import Network
from embedder.finetuning.settings import FinetuneSettings
from embedder.finetuning.training import Examples, Trained, pooled, train
from embedder.finetuning.tunable import Tunable, check_tunable, open_tunable
from embedder.finetuning.tuned_files import check_place, save_tuned

__all__ = [
    "BankPlan",
    "BankedFeed",
    "Cut",
    "Examples",
    "FinetuneSettings",
    "Network",
    "PhotoFeed",
    "Trained",
    "Tunable",
    "bank",
    "check_place",
    "check_tunable",
    "find_cut",
    "is_banked",
    "open_feed",
    "open_tunable",
    "plan_bank",
    "pooled",
    "save_tuned",
    "train",
]
