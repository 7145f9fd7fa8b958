"""What the stages of a comparison have kept, read and never computed again."""

from pathlib import Path
from typing import NoReturn

from monitor.errors import QuestionError
from workers.context import Context
from workers.keeping.artifact import Artifact, ResultT


def kept(context: Context, stage: str, kind: type[ResultT], part: str = "") -> Artifact[ResultT]:
    """The result of `stage` of this comparison. Raises QuestionError where it is not there."""
    return context.artifact(stage, kind, _no_longer_kept, part)


def _no_longer_kept(_: Path) -> NoReturn:
    raise QuestionError(
        "what the check has measured is no longer kept, or it never came so far; check the version "
        "again, then ask"
    )
