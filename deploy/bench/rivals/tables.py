"""The tables of "Compared with what one would do instead" in docs/benchmarks.md, as Markdown."""

from collections.abc import Sequence

from deploy.bench.markdown import table
from deploy.bench.rivals.record import Compared
from deploy.bench.rivals.report import Row, rows

UNKNOWN = "not measured"
TRUNCATED = 5
"""Names shown per version and method."""


def page(versions: Sequence[Compared]) -> str:
    """All tables, with what the versions are and which methods show a reader what."""
    found = rows(versions)
    halves = [sum(version.half == half for version in versions) for half in ("tuning", "report")]
    parts = [
        "<!-- Made by `latentwatch bench compare` from compare.json; not to be edited. -->",
        "# Compared with what one would do instead",
        f"{halves[0]} versions of the tuning half, {halves[1]} of the report half. One seed of "
        "every method that is trained but ours.",
        "## What is found, and at what cost",
        finding_table(found),
        "## What the directions remove of a planted shift, as parts of the ceiling",
        cause_table(found),
        "## What a reader is shown",
        *(names_table(versions, row.method) for row in found),
    ]
    return "\n\n".join(parts) + "\n"


def finding_table(rows: Sequence[Row]) -> str:
    """What each method finds on the report half, and what that costs."""
    head = ["method", "planted flagged", "of them without a suite", "right behaviour"]
    head += ["diluted flagged", "benign flagged", "threshold (nulls)", "seconds", "cost of ours"]
    return table(
        head,
        [
            [
                row.method,
                _of(row.flagged, row.planted),
                _of(row.without_suite_flagged, row.without_suite),
                _of(row.named, row.planted - row.without_suite),
                _of(row.diluted_flagged, row.diluted),
                _of(row.false_flags, row.benign),
                "own rule" if row.threshold is None else f"{row.threshold:.3g} ({row.nulls})",
                UNKNOWN if row.seconds is None else f"{row.seconds:.0f}",
                _percent(row.cost),
            ]
            for row in rows
        ],
    )


def cause_table(rows: Sequence[Row]) -> str:
    """What the methods' directions remove of the planted shifts, as parts of the ceiling."""
    head = ["method", "best one", "best five", "all", "above the control", "highest cost"]
    return table(
        head,
        [
            [
                row.method,
                *map(_percent, (row.best, row.five, row.everything, row.above_control)),
                UNKNOWN if row.nll_rise_max is None else f"{row.nll_rise_max:+.3f}",
            ]
            for row in rows
            if row.above_control is not None
        ],
    )


def names_table(versions: Sequence[Compared], method: str) -> str:
    """What a reader of one method is shown of every planted version."""
    return table(
        ["planted", method],
        [
            [version.name, ", ".join(f"`{n.strip()}`" for n in finding.names[:TRUNCATED])]
            for version in versions
            if version.kind == "planted" and (finding := version.findings.get(method))
        ],
    )


def _of(count: int | None, n: int) -> str:
    if n == 0 or count is None:
        return UNKNOWN
    return f"{count} of {n}"


def _percent(part: float | None) -> str:
    return UNKNOWN if part is None else f"{100 * part:.0f} %"
