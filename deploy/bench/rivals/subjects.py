"""The seam to the zoo: its built versions, one after the other, each as a diff to be opened."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from alerts.deciding.calibration import AgedCalibration
from deploy.bench.zoo.build import open_workshop
from deploy.bench.zoo.calibrated import line_of
from deploy.bench.zoo.check import zoo_settings
from deploy.bench.zoo.versions import Version, read_zoo
from monitor.database.opening import open_database
from monitor.errors import SettingsError
from monitor.settings import Settings
from workers.dispatch.claim import calibration_of
from workers.job import Job, side_of


class Subject(NamedTuple):
    """A version of the zoo and the diff that checks it."""

    version: Version
    job: Job
    settings: Settings
    """Those under which the zoo checks it: the same database, store and recipe."""
    calibration: AgedCalibration | None
    """The zoo's own; None where it has not checked anything yet."""


def subjects(work: Path, names: Sequence[str]) -> Iterator[Subject]:
    """Those of the versions called `names` (all, where none is given) that are built.

    Raises SettingsError for a name that the zoo does not have, or that is asked for and not built.
    """
    zoo = read_zoo()
    shop = open_workshop(zoo, work)
    settings = zoo_settings(shop)
    sessions = open_database(settings.database_url)
    for version in zoo.only(list(names)):
        path = shop.path(version)
        if path.exists():
            job = Job(line_of(shop), side_of(shop.base.path), side_of(path))
            calibration = calibration_of(sessions, job, time.time())
            yield Subject(version, job, settings, calibration)
        elif names:
            raise SettingsError(
                f"{version.name} is not built; run `latentwatch bench zoo --only {version.name}`"
            )
