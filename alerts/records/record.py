"""What every part of a verdict is: complete, unchangeable, and made of finite numbers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Natural = Annotated[float, Field(ge=0.0)]
Seconds = Natural


class Record(BaseModel):
    """A part of the verdict: no unknown keys, no missing keys, finite numbers only."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True
    )
