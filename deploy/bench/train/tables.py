"""The tables of docs/benchmarks.md on training: `python -m deploy.bench.train.tables`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from deploy.bench.markdown import table as markdown
from deploy.bench.results import DIRECTORY, kept

Row = dict[str, Any]


def sizes_table(rows: Sequence[Row]) -> str:
    """Speed and memory by size."""
    head = ["d", "latents", "k", "", "tokens/s", "plain", "times as fast, range"]
    head += ["part of the floor", "memory, plain, MB"]
    return markdown(
        head,
        [
            [
                *(f"{row[key]:,}" for key in ("d", "latents", "k")),
                "AuxK at work" if row["aux_works"] else "",
                f"{row['tokens_per_second']:,.0f}",
                f"{row['naive_tokens_per_second']:,.0f}",
                "{:.1f} ({:.1f} to {:.1f})".format(row["ratio_naive"], *row["ratio_naive_range"]),
                f"{row['ratio_floor']:.0%}",
                f"{row['ours_peak_mb']:,.0f}, {row['naive_peak_mb']:,.0f}",
            ]
            for row in rows
        ],
    )


def toys_table(toys: Sequence[Row]) -> str:
    """What both have learned at equal tokens, seed by seed."""
    head = ["seed", "variance explained, ours", "plain", "concepts recovered, ours", "plain"]
    return markdown(
        head,
        [
            [
                str(toy["seed"]),
                *(f"{toy[one]['variance_explained']:.4f}" for one in ("ours", "naive")),
                *(f"{toy[one]['recovered']:.3f}" for one in ("ours", "naive")),
            ]
            for toy in toys
        ],
    )


def main() -> None:
    """Print every table of the kept result."""
    result = kept(DIRECTORY, "train")
    for one in (sizes_table(result["sizes"]), toys_table(result["toys"])):
        sys.stdout.write(f"{one}\n\n")


if __name__ == "__main__":
    main()
