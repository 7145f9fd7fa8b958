"""What was found on one version, as one file: the verdict and by what it was made."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from alerts.json_file import read_json
from alerts.verdict import Verdict
from deploy.demo import atomic


class SeedTraining(BaseModel):
    """How much of the difference between the models one seed's crosscoder explains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    difference_explained: float | None


class Checked(BaseModel):
    """One check of one version. Without a verdict nothing could be decided, and `failure` says why.

    A result counts only for the version and the recipe whose digests it carries.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: str
    version_key: str
    recipe_digest: str
    seconds: float
    """Wall time of this check; the stages' own seconds, also of earlier runs, are in `verdict`."""
    verdict: Verdict | None
    failure: str | None
    thresholds: dict[str, float]
    """By behaviour the shift, in nats per token, from which on it may be flagged."""
    training: list[SeedTraining]


def read_checked(file: Path, version_key: str, recipe_digest: str) -> Checked | None:
    """The result in `file`; None where there is none of this version and this recipe.

    Raises InvalidFileError for one that has the digests but can't be used.
    """
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    if (found.get("version_key"), found.get("recipe_digest")) != (version_key, recipe_digest):
        return None
    return read_json(file, Checked)


def write_checked(file: Path, checked: Checked) -> None:
    """Keep `checked`, in one step."""
    atomic.write_text(file, checked.model_dump_json(indent=1) + "\n")
