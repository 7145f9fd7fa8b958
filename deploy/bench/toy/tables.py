"""The tables of docs/benchmarks.md on the toy: `python -m deploy.bench.toy.tables`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from deploy.bench.markdown import table as markdown
from deploy.bench.results import DIRECTORY, kept
from deploy.bench.toy.plot import NAMES

Row = dict[str, Any]
FORMS = {**NAMES, "tied": "tied form of ours"}
KINDS = ("shared", "exclusive")


def found_table(rows: Sequence[Row], table: str) -> str:
    """Recall, features and false positives of one table's rows, before and after the filter."""
    head = ["latents", "crosscoder", "recall", "features", "of a shared concept", "of none"]
    head += ["precision", "filtered by the residual", "by both targets", "recall with both"]
    head += ["variance explained"]
    lines = [
        [
            str(row["latents"]),
            FORMS[row["form"]],
            _interval(row["recall"]),
            *(_mean(row[key], 1) for key in ("features", "shared_concept", "no_concept")),
            _mean(row["precision"]),
            _mean(row["residual_only_precision"]),
            _mean(row["filtered_precision"]),
            _mean(row["filtered_recall"]),
            _mean(row["variance_explained"], 3),
        ]
        for row in _of(rows, table)
    ]
    return markdown(head, lines)


def order_table(rows: Sequence[Row], latents: int) -> str:
    """When half of what is recovered in the end is recovered, as a share of training."""
    head = ["crosscoder", "shared concepts", "exclusive concepts"]
    lines = [
        [FORMS[row["form"]], *(_interval(row[f"{kind}_half_learned"]) for kind in KINDS)]
        for row in _of(rows, "sizes")
        if row["latents"] == latents
    ]
    return markdown(head, lines)


def _of(rows: Sequence[Row], table: str) -> list[Row]:
    order = list(FORMS)
    chosen = [row for row in rows if row["table"] == table]
    return sorted(chosen, key=lambda row: (row["latents"], order.index(row["form"])))


def _mean(figure: Row, digits: int = 2) -> str:
    return "-" if figure["mean"] is None else f"{figure['mean']:.{digits}f}"


def _interval(figure: Row) -> str:
    if figure["interval_95"] is None:
        return _mean(figure)
    low, high = figure["interval_95"]
    return f"{figure['mean']:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Print every table of the kept result."""
    result = kept(DIRECTORY, "toy")
    rows = result["rows"]
    tables = [found_table(rows, table) for table in ("sizes", "null", "one space")]
    tables.append(order_table(rows, result["scale"]["concepts"]))
    sys.stdout.write("\n\n".join(tables) + "\n")


if __name__ == "__main__":
    main()
