"""`latentwatch bench likeness`: on the checked versions of the zoo, whose features are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from alerts.deciding.measured import CausalEvidence
from deploy.bench.exact_interval import exact_interval
from deploy.bench.likeness.again import (
    Again,
    Shorter,
    of_fewer_steps,
    of_other_seeds,
    of_other_updates,
)
from deploy.bench.likeness.found import Checked, read_checked
from deploy.bench.machine import made_with
from deploy.bench.results import Figures, keep, print_line
from deploy.bench.rivals.subjects import Subject, subjects
from dfc.screening.likeness import SAME
from dfc.threads import free_cores
from monitor.errors import SettingsError
from workers.progress import DiffProgress

BOUNDS = (0.3, 0.4, SAME, 0.6, 0.7)
PARTS = (1.0, 0.5, 0.2, 0.1)
"""Of the steps of a training. All of them are one that has to find everything again."""

Shown = Callable[[], AbstractContextManager[DiffProgress]]


def run(work: Path, names: Sequence[str], shorter: Sequence[str], out: Path, shown: Shown) -> None:
    """Print a line of JSON per comparison and one about all, and keep the result in `out`.

    `names` are the versions that are compared, and `shorter` those of them that are trained anew
    with fewer steps. Raises SettingsError for one that isn't built, or isn't compared.
    """
    if unknown := set(shorter) - set(names):
        raise SettingsError(f"--shorter: {', '.join(sorted(unknown))}: name it with --only, too")
    told = measured([*subjects(work, names)], shorter, shown)
    for line in (line for part in ("updates", "seeds", "steps") for line in told[part]):
        print_line(line)
    keep(out, "likeness", told)
    print_line(told["summary"])


def measured(chosen: Sequence[Subject], shorter: Sequence[str], shown: Shown) -> Figures:
    """The whole result."""
    cores = free_cores()
    versions = list[Checked]()
    for subject in chosen:
        with shown() as progress:
            versions.append(read_checked(subject, progress))
    updates, seeds = of_other_updates(versions), of_other_seeds(versions)
    steps = list[Figures]()
    for version in versions:
        if version.name in shorter:
            with shown() as progress:
                for part in PARTS:
                    what = f"{version.name}, {part:g} of the steps"
                    trained = partial(progress.step, what)
                    steered = partial(progress.step, f"{what}: steered")
                    shortened = of_fewer_steps(version, part, trained, steered)
                    steps.append(_told_of_fewer(shortened))
    summary = {
        "benchmark": "likeness",
        "bound": SAME,
        "versions": len(versions),
        **{f"other_update_{key}": value for key, value in _all(updates).items()},
        **{f"other_seed_{key}": value for key, value in _all(seeds).items()},
    }
    bounds = [
        {
            "bound": bound,
            "other_update_known": sum(one.known(bound) for one in updates),
            "other_seed_known": sum(one.known(bound) for one in seeds),
        }
        for bound in BOUNDS
    ]
    return {
        "summary": summary,
        "made_with": made_with(cores),
        "versions": [
            {
                "version": one.name,
                "pair_digest": one.pair_digest,
                "recipe_digest": one.recipe_digest,
                "layer": one.layer,
            }
            for one in versions
        ],
        "bounds": bounds,
        "updates": [_told(one) for one in updates],
        "seeds": [_told(one) for one in seeds],
        "steps": steps,
    }


def _told(one: Again) -> Figures:
    return {
        "version": one.version,
        "elsewhere": one.elsewhere,
        "features": len(one.nearest),
        "known": one.known(),
        "nearest": _sorted(one.nearest),
        "correlation": one.correlation,
    }


def _told_of_fewer(one: Shorter) -> Figures:
    return {
        "version": one.version,
        "steps": one.steps,
        "features": len(one.nearest),
        "known": {f"{bound:g}": sum(x >= bound for x in one.nearest) for bound in BOUNDS},
        "nearest": _sorted(one.nearest),
        "new": one.new,
        "difference_unexplained": one.difference_unexplained,
        "seconds": one.seconds,
        "removed": {name: _told_of_cause(found) for name, found in one.removed.items()},
    }


def _told_of_cause(found: CausalEvidence) -> Figures:
    return {
        "ceiling": found.ceiling,
        "best": found.mediated_best,
        "five": found.mediated_five,
        "five_interval": found.five_interval,
        "all": found.mediated_all,
        "control": found.control_p95,
        "seeds_agree": found.seeds_agree,
        "nll_rise": found.nll_rise,
        "items": found.n_items,
    }


def _sorted(nearest: Sequence[float]) -> list[float]:
    return [round(alike, 3) for alike in sorted(nearest, reverse=True)]


def _all(found: Sequence[Again]) -> Figures:
    nearest = [alike for one in found for alike in one.nearest]
    if not nearest:
        return {"compared": 0}
    known = sum(one.known() for one in found)
    interval = exact_interval(known, len(nearest))
    return {
        "compared": len(nearest),
        "known": known,
        "share_low": interval["low"],
        "share_high": interval["high"],
        "highest": max(nearest),
        "highest_correlation": max(one.correlation for one in found if one.correlation is not None),
    }
