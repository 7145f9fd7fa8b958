"""A claimed diff, and what its comparison needs from the database. Free of torch."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from alerts.deciding.calibration import AgedCalibration, without_limits
from monitor.database.schema import Diff, Line, Version
from monitor.lineage.calibrations import latest
from monitor.lineage.lookup import find_line
from monitor.lineage.trust import trusted_versions
from monitor.pace import Pace, unhurried
from monitor.settings import Settings
from monitor.settings.lines import COMPARISONS
from monitor.settings.recipe import RecipeSettings
from monitor.sources.locate import find_files
from workers.corpora import read_corpora
from workers.errors import OtherRecipeError
from workers.inputs import load_inputs
from workers.job import Job, Side
from workers.recipe import recipe_digest


class Claim(NamedTuple):
    """A diff that this process has claimed."""

    diff_id: int
    fence: int
    recipe_digest: str
    line: str
    base: Version
    candidate: Version

    @property
    def name(self) -> str:
        """For people to read."""
        return f"{self.line}: {self.candidate.name}"


def claim_of(session: Session, diff: Diff) -> Claim:
    """The claim that `diff` is under now."""

    def version(digest: str) -> Version:
        return session.scalars(
            select(Version).filter_by(line_id=diff.line_id, content_digest=digest)
        ).one()

    return Claim(
        diff_id=diff.id,
        fence=diff.fence,
        recipe_digest=diff.recipe_digest,
        line=session.get_one(Line, diff.line_id).name,
        base=version(diff.base_digest),
        candidate=version(diff.candidate_digest),
    )


def present_recipe(settings: Settings) -> str:
    """Digest of the recipe that `settings` ask for. Raises InputsError for unusable inputs.

    They are read again when a file has changed, and not at every look.
    """
    recipe = settings.recipe
    suites = [Path(suite) for suite in recipe.suites if suite.endswith(".json")]
    files = (path for path in (recipe.corpus, recipe.prompts, *suites) if path is not None)
    return _recipe_digest(recipe.model_dump_json(), tuple(_state_of(path) for path in files))


@lru_cache(maxsize=4)
def _recipe_digest(settings_json: str, _files: tuple[object, ...]) -> str:
    inputs = load_inputs(RecipeSettings.model_validate_json(settings_json))
    read_corpora(inputs)
    return recipe_digest(inputs.recipe)


def _state_of(path: Path) -> tuple[int, ...] | None:
    """What changes when the file is written again; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def job_of(
    sessions: sessionmaker[Session], settings: Settings, claim: Claim, pace: Pace = unhurried
) -> Job:
    """`checkpoints_of` a comparison under the recipe of `settings`. Raises OtherRecipeError too,
    when it was queued under another one."""
    present = present_recipe(settings)
    if claim.recipe_digest != present:
        raise OtherRecipeError(
            f"queued under the recipe {claim.recipe_digest[:12]}, and what is installed and set "
            f"here makes {present[:12]}; give all hosts the same version and recipe"
        )
    return checkpoints_of(sessions, claim, pace)


def checkpoints_of(sessions: sessionmaker[Session], claim: Claim, pace: Pace = unhurried) -> Job:
    """Both checkpoints, found, fetched where they are not here, and digested again, at `pace`: it
    may take hours.

    Raises a LatentwatchError when the files are gone or have changed.
    """
    line = None if claim.line == COMPARISONS else claim.line
    base, candidate = (_side(sessions, each, pace) for each in (claim.base, claim.candidate))
    return Job(line, base, candidate)


def calibration_of(sessions: sessionmaker[Session], job: Job, now: float) -> AgedCalibration | None:
    """The newest calibration of the job's line and base; None where there is none.

    Of an anchor, which several releases lie behind, without what lowers a least effect.
    """
    if job.line is None:
        return None
    with sessions() as session:
        known = latest(session, job.line, job.base.content_digest, now)
        if known is None:
            return None
        trusted = trusted_versions(session, find_line(session, job.line))
    if not trusted or trusted[0].content_digest == job.base.content_digest:
        return known
    return known._replace(calibration=without_limits(known.calibration))


def _side(sessions: sessionmaker[Session], version: Version, pace: Pace) -> Side:
    path, locator = find_files(sessions, version, pace)
    return Side(version.content_digest, version.weights_digest, path, locator)
