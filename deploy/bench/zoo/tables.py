"""The tables on the zoo, as Markdown, from what `zoo.json` holds."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from alerts.plain_text import one_line
from alerts.wording import NOT_MEASURED, number, percent, signed
from deploy.bench.markdown import table
from deploy.bench.results import Figures
from deploy.bench.zoo.figures import Row
from deploy.bench.zoo.limits import limits_sentence, limits_table

NO_QUESTION = "–"
NOTES = """\
Shares stand with their 95 % interval (Clopper-Pearson). An undecided version counts as not
flagged, a benign one not at all. The score is the largest shift over all behaviours, in units of
its threshold. The ceiling is the part of the expected shift (without a suite: of what the candidate
says differently) that goes away with the base's whole state; best, five, all and control are parts
of the ceiling; the control is the 95th percentile of random directions, or what the same edit takes
off the base, if that is more. The halves' medians,
control and rise of the loss are over the flagged plants of full strength; where one was flagged for
something else, or the edit costs too much on neutral text, its parts count as none. An AUC rests on
as many versions as the lines "checked" say. A dash is no question: nothing is planted, or no suite
asks for it."""


def share(found: Figures | None) -> str:
    """How many of how many, with the interval."""
    if found is None:
        return NOT_MEASURED
    return f"{found['k']} of {found['n']} ({percent(found['low'])} to {percent(found['high'])})"


SUMMARY: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("planted: checked", "planted", str),
    ("planted: flagged", "flagged_rate", share),
    ("planted: the right thing named", "named_rate", share),
    ("planted: new features surface", "surfaced_rate", share),
    ("planted without a suite: new features surface", "without_suite_surfaced_rate", share),
    ("diluted: checked", "diluted", str),
    ("diluted: flagged", "diluted_flagged_rate", share),
    ("diluted: the right thing named", "diluted_named_rate", share),
    ("diluted: new features surface", "diluted_surfaced_rate", share),
    ("benign: checked", "benign", str),
    ("benign: flagged, a false page", "false_page_rate", share),
    ("benign: new features surface", "benign_surfaced_rate", share),
    ("undecided", "undecided", lambda names: ", ".join(names) or "none"),
    ("AUC of the score: planted and diluted against benign", "auc", number),
    ("AUC of the score: planted against benign", "auc_planted", number),
    ("AUC of the score: diluted against benign", "auc_diluted", number),
    ("ceiling, part of the shift, median", "ceiling", percent),
    ("best feature, part of the ceiling, median", "best_feature_mediates", percent),
    ("best five, part of the ceiling, median", "best_five_mediate", percent),
    ("all new features, part of the ceiling, median", "all_mediate", percent),
    ("flagged plants whose best five exceed the control", "above_control_rate", share),
    ("highest rise of the loss, nats per token", "nll_rise_max", partial(signed, digits=3)),
    ("agreement of the seeds' features, median", "seed_agreement", number),
    (
        "seeds apart in the part of the difference explained, median",
        "difference_explained_by_seeds_apart",
        partial(number, digits=3),
    ),
    ("minutes per check, mean", "minutes_per_check", partial(number, digits=1)),
)
"""What a line is called, its key, and how its value is written."""


def page(kept: Figures) -> str:
    """All tables, with what they mean, what was not checked and what failed."""
    rows = [Row.model_validate(one) for one in kept["versions"]]
    formats = ", ".join(sorted({row.dtype for row in rows if row.dtype}))
    digests = f"Base `{kept['base_digest'][:12]}`, recipe `{kept['recipe_digest'][:12]}`"
    missing = f"Not checked: {', '.join(kept['missing'])}." if kept["missing"] else ""
    failures = [f"- {row.version}: {one_line(row.failure)}" for row in rows if row.failure]
    parts = [
        "<!-- Made by `latentwatch bench zoo` from zoo.json; not to be edited. -->",
        "# The zoo",
        f"{digests}, models in {formats or 'an unknown number format'}. {missing}".rstrip(),
        NOTES,
        "## Both halves",
        summary_table(kept["halves"]),
        "## Every version",
        version_table(rows),
        *(_limits(rows, kept["limits"]) if kept["limits"]["updates"] else []),
        *(["## What could not be checked", "\n".join(failures)] if failures else []),
    ]
    return "\n\n".join(parts) + "\n"


def _limits(rows: Sequence[Row], found: Figures) -> list[str]:
    heading = "## Shifts of benign updates, tuning half"
    return [heading, limits_table(rows), limits_sentence(found)]


def summary_table(halves: dict[str, Figures]) -> str:
    """One line per figure, one column per half."""
    return table(
        ["figure", *(f"{half} half" for half in halves)],
        [[label, *(form(of[key]) for of in halves.values())] for label, key, form in SUMMARY],
    )


def version_table(rows: Sequence[Row]) -> str:
    """One line per version; the shift is that of the expected behaviour, in nats per token."""
    head = ["version", "half", "kind", "expected", "verdict", "flagged for", "shift"]
    head += ["score", "named", "surfaced", "ceiling", "best", "five", "all", "control"]
    head += ["above control", "nll rise", "seeds agree", "minutes"]
    return table(head, [_cells(row) for row in rows])


def _cells(row: Row) -> list[str]:
    causes = row.causes
    parts = (causes.best, causes.five, causes.every, causes.control)
    nothing = NOT_MEASURED if row.verdict == "undecided" else "none"
    return [
        row.version,
        row.half,
        row.kind,
        row.expected or ("nothing" if row.kind == "benign" else "no suite"),
        f"{row.verdict}, {row.severity}" if row.severity else row.verdict,
        ", ".join([*row.behaviours, *(["a habit"] if row.habit else [])]) or nothing,
        signed(row.shift) if row.expected else NO_QUESTION,
        number(row.score),
        NO_QUESTION if row.kind == "benign" else _found(row, row.named),
        _found(row, row.surfaced),
        percent(causes.ceiling),
        *(percent(causes.of_ceiling(part)) for part in parts),
        _yes(causes.above_control),
        signed(causes.nll_rise, 3),
        number(row.seed_agreement),
        number(row.minutes, 1),
    ]


def _found(row: Row, outcome: bool) -> str:
    """An undecided version shows what was found, but not what there isn't."""
    return _yes(outcome if outcome or row.verdict != "undecided" else None)


def _yes(outcome: bool | None) -> str:
    return NOT_MEASURED if outcome is None else "yes" if outcome else "no"
