"""`latentwatch bench train`: speed and memory over sizes, and what is learned at equal tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from deploy.bench.bars import progress_bars
from deploy.bench.machine import made_with
from deploy.bench.results import Figures, keep, print_line
from deploy.bench.train.memory import peak_mb
from deploy.bench.train.pair import Size
from deploy.bench.train.quality import Course, Quality, quality
from deploy.bench.train.speed import Effort, Speed, speed
from dfc.allocator import keep_memory
from dfc.threads import use_threads

REFERENCE = Size(576, 8192, 32)
"""Of which the summary speaks."""


class Plan(NamedTuple):
    """What is measured."""

    sizes: tuple[Size, ...]
    effort: Effort
    course: Course
    seeds: tuple[int, ...]


FULL = Plan(
    (
        REFERENCE,
        Size(576, 2048, 32),
        Size(576, 8192, 16),
        Size(576, 8192, 64),
        Size(576, 8192, 200),
        Size(576, 32768, 32),
        Size(576, 65536, 64),
        Size(2048, 8192, 32),
        Size(4096, 8192, 32),
    ),
    Effort(),
    Course(),
    (0, 1, 2, 3, 4),
)
SHORT = Plan((REFERENCE,), Effort(rounds=3, warm_up=1), Course(steps=300), (0,))


def run(plan: Plan, out: Path | None) -> None:
    """Print a line per size and per seed, and the summary last; keep all of it in `out`."""
    keep_memory()
    threads = use_threads()
    lines: list[Figures] = []
    speeds: dict[tuple[Size, bool], Speed] = {}
    memory: dict[Size, Figures] = {}
    rounds = plan.effort.warm_up + plan.effort.rounds
    with progress_bars() as bars:
        for size in plan.sizes:
            memory[size] = {
                "ours_peak_mb": peak_mb("ours", size, threads),
                "naive_peak_mb": peak_mb("naive", size, threads),
            }
            for aux_works in (False, True) if size == REFERENCE else (False,):
                task = bars.add_task(_title(size, aux_works), total=rounds)
                found = speed(size, aux_works, plan.effort, partial(bars.advance, task))
                speeds[size, aux_works] = found
                lines.append({**_line(found), **memory[size]})
                bars.remove_task(task)
                print_line(lines[-1])
        learned = []
        for seed in plan.seeds:
            task = bars.add_task(f"toy {seed}", total=plan.course.steps)
            learned.append(quality(plan.course, seed, partial(bars.advance, task)))
            bars.remove_task(task)
            print_line(_quality_line(learned[-1]))
    summary = _summary(speeds[REFERENCE, False], memory[REFERENCE], learned)
    if out is not None:
        keep(
            out,
            "train",
            {
                "summary": summary,
                "made_with": _made_with(threads),
                "sizes": lines,
                "toys": [_quality_line(one) for one in learned],
            },
        )
    print_line(summary)


def _title(size: Size, aux_works: bool) -> str:
    return f"d {size.d}, F {size.latents}, k {size.k}" + (", AuxK" if aux_works else "")


def _line(found: Speed) -> Figures:
    size = found.size
    return {
        **size._asdict(),
        "aux_works": found.aux_works,
        "tokens_per_second": size.batch / found.ours_seconds,
        "naive_tokens_per_second": size.batch / found.naive_seconds,
        "floor_tokens_per_second": size.batch / found.floor.seconds,
        "ratio_naive": found.ratio_naive,
        "ratio_naive_range": [min(found.ratio_by_round), max(found.ratio_by_round)],
        "rounds": len(found.ratio_by_round),
        "ratio_floor": found.ratio_floor,
        "floor": found.floor._asdict(),
    }


def _quality_line(found: Quality) -> Figures:
    return {
        "seed": found.seed,
        "ours": found.ours._asdict(),
        "naive": found.naive._asdict(),
    }


def _summary(reference: Speed, memory: Figures, learned: Sequence[Quality]) -> Figures:
    gaps = [one.ours.variance_explained - one.naive.variance_explained for one in learned]
    recovered = [one.ours.recovered - one.naive.recovered for one in learned]
    return {
        "ratio_naive": reference.ratio_naive,
        "ratio_floor": reference.ratio_floor,
        "peak_mb": memory["ours_peak_mb"],
        "naive_peak_mb": memory["naive_peak_mb"],
        "variance_explained_gap": max(gaps, key=abs),
        "recovered_gap": max(recovered, key=abs),
        "toys": len(learned),
    }


def _made_with(threads: int) -> Figures:
    allocator = "memory kept by the process (dfc.allocator), for both"
    return {"allocator": allocator, **made_with(threads)}
