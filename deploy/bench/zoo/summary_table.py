"""The table of both halves: what a figure is called, where it stands, and how it is written."""

from collections.abc import Callable
from functools import partial
from typing import Any

from alerts.wording import NOT_MEASURED, number, percent, signed
from deploy.bench.markdown import table
from deploy.bench.results import Figures


def share(found: Figures | None) -> str:
    """How many of how many, with the interval where there is one."""
    if found is None:
        return NOT_MEASURED
    counts = f"{found['k']} of {found['n']}"
    if "low" not in found:
        return counts
    return f"{counts} ({percent(found['low'])} to {percent(found['high'])})"


def _names(names: list[str]) -> str:
    return ", ".join(names) or "none"


LINES: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("planted: checked", "planted", str),
    ("planted: flagged", "flagged_rate", share),
    ("planted: flagged for something else", "flagged_for_something_else", _names),
    ("planted: the right thing named", "named_rate", share),
    ("planted with a suite: it has the largest flagged shift", "largest_rate", share),
    ("the same in the others (largest)", "largest_elsewhere", share),
    ("planted with a suite: it is among the flagged", "among_flagged_rate", share),
    ("the same in the others (among)", "among_flagged_elsewhere", share),
    ("planted without a suite: an expected word in a label", "words_rate", share),
    ("the same in the others (words)", "words_elsewhere", share),
    ("diluted: checked", "diluted", str),
    ("diluted: flagged", "diluted_flagged_rate", share),
    ("diluted: the right thing named", "diluted_named_rate", share),
    ("benign: checked", "benign", str),
    ("benign: flagged, a false page", "false_page_rate", share),
    ("benign, weights only written or rounded again: flagged", "rounded_pages", share),
    ("planted: new features surface", "surfaced_rate", share),
    ("benign: new features surface", "benign_surfaced_rate", share),
    ("p of more often in planted than in benign (Fisher)", "surfaced_p", number),
    ("planted without a suite: new features surface", "without_suite_surfaced_rate", share),
    ("diluted: new features surface", "diluted_surfaced_rate", share),
    ("undecided", "undecided", _names),
    ("AUC of the score: planted and diluted against benign", "auc", number),
    ("AUC of the score: planted against benign", "auc_planted", number),
    ("AUC of the score: diluted against benign", "auc_diluted", number),
    ("ceiling, part of the shift, median", "ceiling", percent),
    ("best feature, part of the ceiling, median", "best_feature_mediates", percent),
    ("best five, part of the ceiling, median", "best_five_mediate", percent),
    ("all exclusive features, part of the ceiling, median", "all_mediate", percent),
    ("plants whose best five exceed the control", "above_control_rate", share),
    ("highest rise of the loss, nats per token", "nll_rise_max", partial(signed, digits=3)),
    ("agreement of the seeds' features, median", "seed_agreement", number),
    (
        "seeds apart in the part of the difference explained, median",
        "difference_explained_by_seeds_apart",
        partial(number, digits=3),
    ),
    ("minutes per check, mean", "minutes_per_check", partial(number, digits=1)),
)


def summary_table(halves: dict[str, Figures]) -> str:
    """One line per figure, one column per half."""
    return table(
        ["figure", *(f"{half} half" for half in halves)],
        [[label, *(form(of[key]) for of in halves.values())] for label, key, form in LINES],
    )
