"""Checks one version against the base in the way in which the product does it."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from alerts.deciding.policy import policy_of
from alerts.probes.suite import bundled_suites
from alerts.verdict import Verdict
from deploy.bench.zoo.build import Workshop
from deploy.bench.zoo.calibrated import calibrate, line_of
from deploy.bench.zoo.checked import Checked, SeedTraining
from deploy.bench.zoo.limits import limits_of
from deploy.bench.zoo.versions import Version
from dfc.canonical import digest_of
from monitor.database.opening import open_database
from monitor.errors import LatentwatchError
from monitor.settings import Settings, load_settings
from workers.check import check_pair
from workers.dispatch.claim import calibration_of
from workers.inputs import load_inputs
from workers.job import Job, side_of
from workers.progress import DiffProgress
from workers.recipe import recipe_digest
from workers.verdicts.outcome import read_evidence, report_directory

logger = logging.getLogger(__name__)

Progress = Callable[[], AbstractContextManager[DiffProgress]]


def zoo_settings(shop: Workshop) -> Settings:
    """A database and a store in the workshop, the zoo's recipe, and every suite that is bundled
    unless the recipe names them."""
    recipe = {"suites": list(bundled_suites()), **shop.zoo.recipe}
    return load_settings(data_dir=shop.work / "check", recipe=recipe)


class Checker:
    """Checks versions of one workshop under one recipe."""

    def __init__(
        self,
        shop: Workshop,
        settings: Settings,
        progress: Progress,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shop, self._settings = shop, settings
        self._progress, self._report, self._clock = progress, report, clock
        recipe = load_inputs(settings.recipe).recipe
        self.recipe_digest = digest_of([recipe_digest(recipe), line_of(shop)])
        """Of the recipe, and of what the line is calibrated by."""

    def calibrate(self, updates: Mapping[str, Path]) -> None:
        """Calibrate the line by `updates`, checkpoints of `null_versions` by name."""
        calibrate(self._shop, self._settings, updates, self._progress, time.time())

    def limits(self) -> dict[str, Any] | None:
        """What the line was last calibrated by; None where it was not here."""
        sessions = open_database(self._settings.database_url)
        base = side_of(self._shop.base.path)
        found = calibration_of(sessions, Job(line_of(self._shop), base, base), time.time())
        return None if found is None else limits_of(found.calibration)

    def check(self, version: Version, checkpoint: Path) -> Checked:
        """What the product says of `checkpoint`. Whatever goes wrong is part of the result."""
        begun = self._clock()
        verdict, failure = None, None
        try:
            verdict = check_pair(
                checkpoint,
                str(self._shop.base.path),
                line_of(self._shop),
                self._settings,
                None,
                self._progress,
                self._report,
            )
        except LatentwatchError as error:
            failure = str(error)
        except Exception as error:
            # One version that can't be checked must not keep the others from it.
            logger.exception("the check of %s ended unexpectedly", version.name)
            failure = f"{type(error).__name__}: {error}"
        return Checked(
            version=version.name,
            version_key=self._shop.key(version),
            recipe_digest=self.recipe_digest,
            seconds=self._clock() - begun,
            verdict=verdict,
            failure=failure,
            thresholds=thresholds(verdict, self._settings) if verdict else {},
            training=self._training(verdict) if verdict else [],
        )

    def _training(self, verdict: Verdict) -> list[SeedTraining]:
        evidence = read_evidence(report_directory(self._settings.data_dir, verdict))
        return [
            SeedTraining(seed=run.seed, difference_explained=run.variance_explained_difference)
            for run in evidence.training
        ]


def thresholds(verdict: Verdict, settings: Settings) -> dict[str, float]:
    """By behaviour the shift from which on it may be flagged: the most of its least effect, the
    policy's multiple of the noise floor, and what the calibration asks for."""
    factor = policy_of(settings.recipe.policy).noise_factor
    return {
        one.name: max(
            one.least_effect or 0.0,
            factor * (one.noise_floor or 0.0),
            one.calibrated_threshold or 0.0,
        )
        for one in verdict.behaviours
    }
