"""`latentwatch bench diff`: from the push to the verdict, stage by stage, and how it grows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deploy.bench.diff.checks import Bench, Check
from deploy.bench.diff.growth import Growth, draw
from deploy.bench.machine import made_with
from deploy.bench.results import Figures, keep, print_line
from deploy.demo import atomic
from dfc.engines.precision import native_dtype
from dfc.threads import free_cores
from monitor.settings import load_settings
from workers.inputs import load_inputs
from workers.recipe import digest_of, recipe_digest

OVER_TOKENS = ("harvest", "train", "screen", "describe")
OVER_LATENTS = ("train", "screen")


class Size(NamedTuple):
    """What is checked."""

    recipe: dict[str, Any]
    """Of the checks that are timed as a whole."""
    growing: dict[str, Any]
    """What is else in those that tell how stages grow: less of what does not grow."""
    tokens: tuple[int, ...]
    """Positions to train on; the last is that of the checks that are timed as a whole."""
    latents: tuple[int, ...]
    """Of the shared block; each exclusive one has a quarter of it. The first likewise."""

    @property
    def whole(self) -> dict[str, Any]:
        """The recipe of the checks that are timed as a whole."""
        return self._of(self.recipe, self.tokens[-1], self.latents[0])

    @property
    def over_tokens(self) -> list[dict[str, Any]]:
        """Recipes that differ in the positions."""
        recipe = self.recipe | self.growing
        return [self._of(recipe, tokens, self.latents[0]) for tokens in self.tokens]

    @property
    def over_latents(self) -> list[dict[str, Any]]:
        """Recipes that differ in the latents; the first is the last of those of the positions."""
        recipe = self.recipe | self.growing
        return [self._of(recipe, self.tokens[-1], latents) for latents in self.latents]

    @staticmethod
    def _of(recipe: dict[str, Any], tokens: int, latents: int) -> dict[str, Any]:
        blocks = {"base_exclusive": latents // 4, "candidate_exclusive": latents // 4}
        dfc = {**recipe.get("dfc", {}), "shared": latents, **blocks}
        return recipe | {"tokens": tokens, "dfc": dfc}


FULL = Size(
    {"suites": ["sycophancy", "capability"], "layer": 22, "max_prompts": 48, "answer_tokens": 48},
    {"suites": ["capability"], "seeds": [0], "dfc": {"steps": 100}},
    tokens=(3_000, 5_500, 8_000),
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
    {"dfc": {"k": 4, "k_exclusive": 2, "steps": 8, "batch": 32}},
    tokens=(300, 600),
    latents=(32, 64),
)


def run(size: Size, base: Path, out: Path | None, image: Path | None, work: Path | None) -> None:
    """Print a line of JSON per check and one about all; keep the result in `out` and draw it.

    The whole checks and those that grow are kept apart in `work`, so that a run that was stopped in
    the second part goes on with that; a part that was stopped begins anew.
    """
    cores = free_cores()
    cold, known, again = _kept(work, "whole", size, base, _measure_whole)
    grown = _kept(work, "growth", size, base, _measure_growth)
    over_tokens = grown[: len(size.tokens)]
    over_latents = [over_tokens[-1], *grown[len(size.tokens) :]]
    positions = [check.tokens for check in over_tokens]
    by_tokens = [_growth(stage, positions, over_tokens) for stage in OVER_TOKENS]
    by_latents = [_growth(stage, list(size.latents), over_latents) for stage in OVER_LATENTS]
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
            "recipe": size.whole,
            "recipe_of_growth": size.over_tokens[-1],
            "checks": {"cold": _told(cold), "base known": _told(known)},
            "over_tokens": [_line(one) for one in by_tokens],
            "over_latents": [_line(one) for one in by_latents],
        }
        keep(out, "diff", result)
    if image is not None:
        draw(by_tokens, by_latents, image)
    print_line(summary)


def _kept(
    work: Path | None,
    part: str,
    size: Size,
    base: Path,
    measure: Callable[[Bench, Size], list[Check]],
) -> list[Check]:
    """The checks of one part, which nothing but each other's results help; from `work`, where this
    part was measured by this very code."""
    recipes = (size.whole, *size.over_tokens, *size.over_latents)
    digests = [recipe_digest(load_inputs(load_settings(recipe=r).recipe).recipe) for r in recipes]
    kept = work and work / f"{part}-{digest_of([str(native_dtype()), *digests])[:12]}.json"
    if kept and kept.exists():
        return [Check(**check) for check in json.loads(kept.read_text(encoding="utf-8"))]
    with tempfile.TemporaryDirectory(prefix="latentwatch-diff-") as name:
        checks = measure(Bench(base, Path(name)), size)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(kept, json.dumps([check._asdict() for check in checks]))
    return checks


def _measure_whole(bench: Bench, size: Size) -> list[Check]:
    """Nothing known, the base known, and nothing new."""
    first, second = bench.update(1), bench.update(2)
    whole = (("cold", first), ("base known", second), ("nothing new", second))
    return [_check(bench, what, candidate, size.whole) for what, candidate in whole]


def _measure_growth(bench: Bench, size: Size) -> list[Check]:
    """Over the positions, then over the latents."""
    update = bench.update(1)
    recipes = [("positions", recipe) for recipe in size.over_tokens]
    recipes += [("latents", recipe) for recipe in size.over_latents[1:]]
    return [_check(bench, what, update, recipe) for what, recipe in recipes]


def _check(bench: Bench, what: str, candidate: Path, recipe: dict[str, Any]) -> Check:
    found = bench.check(candidate, recipe)
    print_line({"check": what, "latents": recipe["dfc"]["shared"], **_told(found)})
    return found


def _growth(stage: str, sizes: list[int], checks: Sequence[Check]) -> Growth:
    return Growth(stage, sizes, [(c.stages | c.kept)[stage] for c in checks])


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
