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


def run(size: Size, base: Path, out: Path | None, image: Path | None) -> None:
    """Print a line of JSON per check and one about all; keep the result in `out` and draw it."""
    cores = free_cores()
    with tempfile.TemporaryDirectory(prefix="latentwatch-diff-") as name:
        bench = Bench(base, Path(name))
        first, second = bench.update(1), bench.update(2)

        def check(what: str, candidate: Path, recipe: dict[str, Any]) -> Check:
            found = bench.check(candidate, recipe)
            latents = recipe["dfc"]["shared"]
            print_line({"check": what, "latents": latents, **_told(found)})
            return found

        cold = check("cold", first, size.whole)
        known = check("base known", second, size.whole)
        again = check("nothing new", second, size.whole)
        over_tokens = [check("positions", second, recipe) for recipe in size.over_tokens]
        more = [check("latents", second, recipe) for recipe in size.over_latents[1:]]
        over_latents = [over_tokens[-1], *more]
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
