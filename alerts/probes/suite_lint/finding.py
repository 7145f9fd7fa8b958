"""What a lint of a suite says."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Finding(BaseModel):
    """One thing to mend: an error makes the suite unusable, a warning its figures doubtful."""

    model_config = ConfigDict(frozen=True)

    level: Literal["error", "warning"] = "warning"
    code: str
    """Stable, for programs."""
    field: str
    """Where in the file, as keys and numbers joined by dots."""
    items: tuple[str, ...] = ()
    """Ids of the items that it is about; none where it is about the suite."""
    said: str
    remedy: str
