"""`latentwatch bench toy`: all cells one after the other, then the rows and the summary."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress, TaskID

from deploy.bench.bars import progress_bars
from deploy.bench.results import keep, kept, print_line
from deploy.bench.toy.cells import Cell, Measured, Table, measure, store, stored
from deploy.bench.toy.crosscoders import Form, Settings
from deploy.bench.toy.plot import draw
from deploy.bench.toy.score import over_seeds, score
from deploy.bench.toy.universe import Scale

SETTINGS = Settings(steps=2000, batch=512, tokens=100_000, learning_rate=3e-3, exclusive=0.05)
SCALE = Scale()
SIZES = (1 / 4, 1 / 2, 1)
"""Latents per concept; the summary speaks of one half."""

SUMMED_UP: tuple[Form, ...] = ("standard", "strict")
ACROSS: tuple[Form, ...] = ("standard", "dsf", "strict")
ONE_SPACE: tuple[Form, ...] = (*ACROSS, "tied")


def plan(seeds: Sequence[int], quick: bool) -> list[Cell]:
    """The cells, seed by seed, so that an interrupted run has whole seeds.

    The quick plan is what the summary speaks of and the null.
    """
    half = round(SCALE.concepts / 2)
    sizes = [half] if quick else [round(SCALE.concepts * size) for size in SIZES]
    forms = SUMMED_UP if quick else ACROSS
    cells = []
    for seed in seeds:
        designs: list[tuple[Table, Form, int, Scale]] = [
            *(("sizes", form, size, SCALE) for size in sizes for form in forms),
            ("null", "strict", half, SCALE._replace(exclusive=0.0)),
        ]
        if not quick:
            same = SCALE._replace(same_space=True)
            designs += [("one space", form, half, same) for form in ONE_SPACE]
        cells += [
            Cell(table, form, latents, seed, scale, SETTINGS)
            for table, form, latents, scale in designs
        ]
    return cells


def run(seeds: Sequence[int], quick: bool, out: Path, work: Path, image: Path) -> None:
    """Measure what is not in ``work`` yet; print a line per cell and the summary last.

    The full run also draws the plot.
    """
    torch.set_num_threads(1)
    cells = plan(seeds, quick)
    results: dict[Cell, Measured] = {}
    with progress_bars() as bars:
        overall = bars.add_task("cells", total=len(cells))
        for cell in cells:
            found = stored(work, cell)
            if found is None:
                steps = bars.add_task(cell.name, total=cell.settings.steps)
                found = measure(cell, _advancing(bars, steps))
                store(work, cell, found)
                bars.remove_task(steps)
            results[cell] = found
            print_line(_line(cell, found))
            bars.advance(overall)
    rows = tabulate(results)
    figures = summary(rows)
    name = "toy-quick" if quick else "toy" if seeds == range(5) else "toy-part"
    made_by = {"scale": SCALE._asdict(), "settings": SETTINGS._asdict(), "seeds": list(seeds)}
    keep(out, name, {**made_by, "rows": rows, "summary": figures})
    if name == "toy":
        draw(kept(out, name)["rows"], image)
    print_line(figures)


def tabulate(results: dict[Cell, Measured]) -> list[dict[str, Any]]:
    """One row per table, form and size, every figure over the seeds."""
    groups: dict[tuple[Table, Form, int], list[tuple[Cell, Measured]]] = defaultdict(list)
    for cell, measured in results.items():
        groups[cell.table, cell.form, cell.latents].append((cell, measured))
    rows = []
    for (table, form, latents), members in groups.items():
        lines = [_line(cell, measured) for cell, measured in members]
        figures = {
            key: over_seeds([line[key] for line in lines])
            for key in lines[0]
            if key not in ("table", "form", "latents", "seed")
        }
        rows.append({"table": table, "form": form, "latents": latents, **figures})
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """What is printed last: half as many latents as concepts, means over seeds."""
    half = round(SCALE.concepts / 2)
    standard, strict = (
        next(r for r in rows if (r["table"], r["form"], r["latents"]) == ("sizes", form, half))
        for form in SUMMED_UP
    )
    return {
        "standard_recall": standard["recall"]["mean"],
        "dfc_recall": strict["recall"]["mean"],
        "dfc_precision": strict["precision"]["mean"],
        "filtered_precision": strict["filtered_precision"]["mean"],
        "filtered_recall_kept": strict["recall_kept"]["mean"],
        "variance_explained_gap": (
            standard["variance_explained"]["mean"] - strict["variance_explained"]["mean"]
        ),
    }


def _line(cell: Cell, measured: Measured) -> dict[str, Any]:
    concepts = 2 * cell.scale.exclusive_concepts
    evaluation = measured.evaluation
    before = score(evaluation.features, concepts)
    after = score([f for f in evaluation.features if f.is_new], concepts)
    by_residual = score(
        [f for f in evaluation.features if f.is_new_by_residual], concepts
    )._asdict()
    if cell.form == "tied":
        by_residual = dict.fromkeys(by_residual)
    dedicated = score([f for f in evaluation.features if f.dedicated], concepts)
    kept = after.recall / before.recall if before.recall and after.recall is not None else None
    return {
        "table": cell.table,
        "form": cell.form,
        "latents": cell.latents,
        "seed": cell.seed,
        **before._asdict(),
        **{f"filtered_{key}": value for key, value in after._asdict().items()},
        **{f"residual_only_{key}": value for key, value in by_residual.items()},
        "recall_kept": kept,
        "dedicated_recall": dedicated.recall if dedicated.features else None,
        "dedicated_precision": dedicated.precision,
        "variance_explained": evaluation.variance_explained,
        "shared_recall": evaluation.shared_recall,
        "alive": evaluation.alive,
        "shared_half_learned": measured.half_learned.shared,
        "exclusive_half_learned": measured.half_learned.exclusive,
        "cpu_seconds": measured.cpu_seconds,
    }


def _advancing(bars: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda step: bars.update(task, completed=step)
