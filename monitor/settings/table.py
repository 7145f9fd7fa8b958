"""What all tables of the settings share."""

from typing import Annotated

from pydantic import ConfigDict, Field

TABLE = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
"""Unknown keys are errors, and numbers are finite."""

YEAR = 366 * 86_400.0

Seconds = Annotated[float, Field(gt=0, le=YEAR)]
"""A time that is waited: what is longer than a year is a slip, and no clock can add it up."""
