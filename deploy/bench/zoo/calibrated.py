"""The zoo is a line of its base: calibrated by harmless updates, as an operator's own line is.

They are those of the tuning half that were trained. Their own shifts are among what they are judged
beside, so only the report half says how often a harmless update is flagged.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from deploy.bench.zoo.build import Workshop
from deploy.bench.zoo.versions import Tune, Version, Zoo
from dfc.canonical import digest_of
from monitor.database.opening import open_database
from monitor.lineage.calibrations import keep
from monitor.settings import Settings
from monitor.watching.intake import ensure_line, identify_push, register
from workers.calibrate import measure_nulls
from workers.errors import CalibrationError
from workers.inputs import load_inputs
from workers.item_scores import NULL_COPIES
from workers.job import Job, side_of
from workers.nulls import Release
from workers.progress import DiffProgress


def null_versions(zoo: Zoo) -> list[Version]:
    """The harmless updates that the zoo is calibrated by."""
    harmless = (v for v in zoo.versions if v.half == "tuning" and v.kind == "benign")
    return [version for version in harmless if isinstance(version.recipe, Tune)]


def line_of(shop: Workshop) -> str:
    """The line's name: of other updates it is another line, whose verdicts are not these."""
    keys = [shop.key(version) for version in null_versions(shop.zoo)]
    return f"zoo-{digest_of(keys)[:12]}"


def calibrate(
    shop: Workshop,
    settings: Settings,
    updates: Mapping[str, Path],
    progress: Callable[[], AbstractContextManager[DiffProgress]],
    now: float,
) -> None:
    """Measure what `updates`, checkpoints by name, and noisy copies of the base do to every
    behaviour, and keep it for the checks of the line. What was scored before is not scored again.

    Raises a LatentwatchError, and keeps nothing, where that can't be done.
    """
    base, name = side_of(shop.base.path), line_of(shop)
    quiet = [suite.behaviour for suite in load_inputs(settings.recipe).behaviour_suites]
    releases = [
        Release(update, Job(name, base, side_of(path)), quiet) for update, path in updates.items()
    ]
    found = measure_nulls(
        Job(name, base, base), releases, [], NULL_COPIES, settings, progress, lambda: now
    )
    if found.left_out:
        raise CalibrationError(f"the zoo can't be calibrated: {'; '.join(found.left_out)}")
    sessions = open_database(settings.database_url)
    push = identify_push(sessions, shop.base.path, "base", str(shop.base.path))
    with sessions.begin() as session:
        line = ensure_line(session, name, now)
        keep(session, register(session, line, push, now).version, found)
