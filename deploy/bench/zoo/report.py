"""All results that are there: kept as JSON, from which tables and plot are made, and printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from deploy.bench import results
from deploy.bench.results import Figures
from deploy.bench.zoo.figures import Row
from deploy.bench.zoo.plot import draw
from deploy.bench.zoo.summary import more_of, summarise
from deploy.bench.zoo.tables import page
from deploy.bench.zoo.versions import Half
from deploy.demo import atomic

NAME = "zoo"


def keep_report(
    out: Path, image: Path, rows: Sequence[Row], missing: Sequence[str], made_by: Figures
) -> None:
    """Write rows and summaries of both halves into `out`, with their tables, and plot them.

    A report on another recipe that is there is set aside.

    `made_by` says by what the results were made and beside what they were judged.
    """
    halves: tuple[Half, ...] = get_args(Half)
    results.make_way(out, NAME, recipe_digest=made_by["recipe_digest"])
    known = results.kept_of(out, NAME, recipe_digest=made_by["recipe_digest"]) or {}
    results.keep(
        out,
        NAME,
        {
            **made_by,
            # Where nothing was calibrated, another machine may have kept by what it was.
            "limits": made_by["limits"] or known.get("limits"),
            "missing": list(missing),
            "versions": [row.model_dump(mode="json") for row in rows],
            "halves": {half: {**summarise(rows, half), **more_of(rows, half)} for half in halves},
            "summary": summarise(rows, "report"),
        },
    )
    kept = results.kept(out, NAME)
    atomic.write_text(out / f"{NAME}.md", page(kept))
    draw(kept, image)


def kept_rows(out: Path, recipe_digest: str) -> dict[str, Row]:
    """By version the rows kept in `out` that were made by this recipe, on whatever machine.

    A row that lacks what one has now was judged by other rules and counts as not there: from the
    result that it was made of, `--report` makes it anew.
    """
    found = results.kept_of(out, NAME, recipe_digest=recipe_digest)
    versions = found["versions"] if found else []
    rows = [Row.model_validate(one) for one in versions]
    as_now = [
        row for row, one in zip(rows, versions, strict=True) if row.model_dump(mode="json") == one
    ]
    return {row.version: row for row in as_now}


def print_report(out: Path) -> None:
    """Print what was kept: a line per version, one per half, and the summary of the report half.

    Raises FileNotFoundError with the command that makes it.
    """
    kept = results.kept(out, NAME)
    for row in kept["versions"]:
        results.print_line(row)
    for half, figures in kept["halves"].items():
        results.print_line({"half": half, **figures})
    results.print_line(kept["summary"])
