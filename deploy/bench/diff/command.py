"""`latentwatch bench diff`: from the push to the verdict, stage by stage, and how it grows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deploy.bench.diff.checks import Bench, Check
from deploy.bench.diff.growth import Growth, draw
from deploy.bench.machine import made_with
from deploy.bench.results import Figures, keep, print_line
from dfc.threads import free_cores

OVER_TOKENS = ("harvest", "train", "screen", "describe")
OVER_LATENTS = ("train", "screen")


class Size(NamedTuple):
    """What is checked."""

    recipe: dict[str, Any]
    tokens: tuple[int, ...]
    """Positions to train on; the last is that of the checks that are timed as a whole."""
    latents: tuple[int, ...]
    """Of the shared block; each exclusive one has a quarter of it. The first likewise."""


FULL = Size(
    {"suites": ["sycophancy", "capability"], "layer": 22, "max_prompts": 48, "answer_tokens": 48},
    tokens=(2_000, 4_000, 8_000),
    latents=(1_024, 2_048, 4_096),
)
SHORT = Size(
    {
        "suites": ["capability"],
        "layer": 1,
        "max_prompts": 6,
        "answer_tokens": 6,
        "seeds": [0],
        "dfc": {"k": 4, "k_exclusive": 2, "steps": 12, "batch": 32},
    },
    tokens=(300, 600),
    latents=(32, 64),
)


def run(size: Size, base: Path, out: Path | None, image: Path | None) -> None:
    """Print a line of JSON per check and one about all; keep the result in `out` and draw it."""
    cores = free_cores()
    with tempfile.TemporaryDirectory(prefix="latentwatch-diff-") as name:
        bench = Bench(base, size.recipe, Path(name))
        first, second = bench.update(1), bench.update(2)
        dfc = size.recipe.get("dfc", {})

        def check(what: str, candidate: Path, tokens: int, latents: int) -> Check:
            blocks = {"base_exclusive": latents // 4, "candidate_exclusive": latents // 4}
            shape = {**dfc, "shared": latents, **blocks}
            found = bench.check(candidate, tokens=tokens, dfc=shape)
            print_line({"check": what, "tokens": tokens, "latents": latents, **_told(found)})
            return found

        most, least = size.tokens[-1], size.latents[0]
        cold = check("cold", first, most, least)
        known = check("base known", second, most, least)
        again = check("nothing new", second, most, least)
        over_tokens = [*(check("fewer tokens", second, n, least) for n in size.tokens[:-1]), known]
        over_latents = [known, *(check("more latents", second, most, n) for n in size.latents[1:])]
    by_tokens = [_growth(s, [c.tokens for c in over_tokens], over_tokens) for s in OVER_TOKENS]
    by_latents = [_growth(s, list(size.latents), over_latents) for s in OVER_LATENTS]
    summary = {
        "benchmark": "diff",
        "cold_seconds": cold.seconds,
        "known_base_seconds": known.seconds,
        "known_base_saves": 1 - known.seconds / cold.seconds,
        "outside_stages_seconds": known.outside,
        "checked_again_seconds": again.seconds,
        "seconds_per_1000_tokens": {one.stage: 1000 * one.line[1] for one in by_tokens},
        "seconds_per_1000_latents": {one.stage: 1000 * one.line[1] for one in by_latents},
    }
    if out is not None:
        result = {
            "summary": summary,
            "made_with": made_with(cores) | {"model": base.name},
            "recipe": size.recipe | {"tokens": most, "latents": least},
            "checks": {"cold": _told(cold), "base known": _told(known)},
            "over_tokens": [_line(one) for one in by_tokens],
            "over_latents": [_line(one) for one in by_latents],
        }
        keep(out, "diff", result)
    if image is not None:
        draw(by_tokens, by_latents, image)
    print_line(summary)


def _growth(stage: str, sizes: list[int], checks: Sequence[Check]) -> Growth:
    return Growth(stage, sizes, [check.stages[stage] for check in checks])


def _told(check: Check) -> Figures:
    return {
        "verdict": check.verdict,
        "positions": check.tokens,
        "seconds": check.seconds,
        "outside": check.outside,
        "stages": check.stages,
    }


def _line(one: Growth) -> Figures:
    constant, slope = one.line
    return {
        "stage": one.stage,
        "sizes": one.sizes,
        "seconds": one.seconds,
        "constant": constant,
        "slope": slope,
        "r2": one.r2,
    }
