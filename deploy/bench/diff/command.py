"""`latentwatch bench diff`: from the push to the verdict, stage by stage, and how it grows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deploy.bench.diff.checks import Bench, Check
from deploy.bench.diff.growth import Growth, draw
from deploy.bench.diff.parts import Parts
from deploy.bench.results import Figures, keep, print_line
from dfc.engines.precision import native_dtype
from monitor.settings import load_settings
from workers.inputs import load_inputs
from workers.job import side_of
from workers.keeping.sources import sources_digest
from workers.recipe import recipe_digest

OVER_TOKENS = ("harvest", "train", "screen", "describe")
OVER_LATENTS = ("train", "screen")


class Size(NamedTuple):
    """What is checked."""

    recipe: dict[str, Any]
    """Of the checks that are timed as a whole."""
    growing: dict[str, Any]
    """What is else in those that tell how stages grow: less of what does not grow. Its `dfc` takes
    the place of the other as a whole."""
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

    The whole checks and those that grow are kept apart in `work` until both are done, so that a run
    that was stopped in the second part goes on with that; a part that was stopped begins anew.
    """
    parts = Parts(work, _made_of(size, base))
    whole = parts.part("whole", lambda: _measured(base, size, _whole))
    growth = parts.part("growth", lambda: _measured(base, size, _growing))
    cold, known, again = whole.checks
    over_tokens = growth.checks[: len(size.tokens)]
    over_latents = [over_tokens[-1], *growth.checks[len(size.tokens) :]]
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
            "made_with": whole.made_with | {"model": base.name},
            "growth_made_with": growth.made_with,
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
    parts.forget("whole", "growth")


def _made_of(size: Size, base: Path) -> list[str]:
    """What a result of another run must share to stand for one of this."""
    recipes = (size.whole, *size.over_tokens, *size.over_latents)
    digests = [recipe_digest(load_inputs(load_settings(recipe=r).recipe).recipe) for r in recipes]
    code = sources_digest("deploy.bench.diff.command")
    return [str(native_dtype()), code, side_of(base).content_digest, *digests]


def _measured(base: Path, size: Size, measure: Callable[[Bench, Size], list[Check]]) -> list[Check]:
    with tempfile.TemporaryDirectory(prefix="latentwatch-diff-") as name:
        return measure(Bench(base, Path(name)), size)


def _whole(bench: Bench, size: Size) -> list[Check]:
    """Nothing known, the base known, and nothing new."""
    first, second = bench.update(1), bench.update(2)
    whole = (("cold", first), ("base known", second), ("nothing new", second))
    return [_check(bench, what, candidate, size.whole) for what, candidate in whole]


def _growing(bench: Bench, size: Size) -> list[Check]:
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
