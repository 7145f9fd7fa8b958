"""The tables on the zoo, as Markdown, from what `zoo.json` holds."""

from collections.abc import Sequence

from alerts.plain_text import one_line
from alerts.wording import NOT_MEASURED, number, percent, signed
from deploy.bench.markdown import table
from deploy.bench.results import Figures
from deploy.bench.zoo.figures import Row
from deploy.bench.zoo.limits import limits_sentence, limits_table
from deploy.bench.zoo.summary_table import summary_table

NO_QUESTION = "–"
NOTES = """\
Shares stand with their 95 % interval (Clopper-Pearson). An undecided version counts as not
flagged, a benign one not at all. The score is the largest shift over all behaviours, in units of
its threshold. *Named* asks that the expected behaviour has the largest shift of all flagged ones,
in the same units (column "largest"); without a suite, that an expected word stands in the label of
one of the first three features that surface. "The same in the others" is what chance would name:
how often that sign is found where something else is planted, over pairs of versions, which are not
independent. The ceiling is the part of the expected shift (without a suite: of what the candidate
says differently) that goes away with the base's whole state; best, five, all and control are parts
of the ceiling; the control is the most that any set of random directions removes, or what the same
edit changes the base, if that is more. Above the control are the best five if those of every seed
are, as far as the verdict tells of seeds, and the low end of their 95 % interval is above 0; where
there is no interval this is not measured and counts as no. The
halves' medians and control are over all plants of full strength; where one was missed, was flagged
for something else, or where the edit costs too much on neutral text, it counts as 0. A median's
parts are of the ceiling and at most all of it; an item from which more is taken than its shift
counts against a part, not for it. The table of versions has them raw. The highest rise of the loss
is over the flagged plants. Updates that only write or round the base's weights again shift nothing
by construction: they stand apart, and in no rate and no AUC. An AUC rests on as many versions as
the lines "checked" say. A dash is no question: nothing is planted, or no suite asks for it."""


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
        *(_limits(kept["limits"]) if kept["limits"] else []),
        *(["## What could not be checked", "\n".join(failures)] if failures else []),
    ]
    return "\n\n".join(parts) + "\n"


def _limits(found: Figures) -> list[str]:
    heading = "## Shifts of the harmless updates by which all are judged"
    return [heading, limits_table(found), limits_sentence(found)]


def version_table(rows: Sequence[Row]) -> str:
    """One line per version; the shift is that of the expected behaviour, in nats per token."""
    head = ["version", "half", "kind", "expected", "verdict", "flagged for", "largest"]
    head += ["shift", "score", "named", "surfaced", "ceiling", "best", "five", "all", "control"]
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
        row.largest or nothing,
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
