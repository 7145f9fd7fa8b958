"""What an operator can set about a line: where its versions appear and when one is complete."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from monitor.settings.sources import (
    AdaptersOfLine,
    HubLine,
    MlflowLine,
    NamedPath,
    ObjectsLine,
    PlainName,
    VersionName,
    plain_name,
)
from monitor.settings.table import TABLE, YEAR

COMPARISONS = "comparisons"
"""The line in which `latentwatch check` keeps what it compared outside any watched line."""


def usable_line_name(name: str) -> str:
    """`name`, if a line may be called so: it is part of paths. Raises ValueError."""
    if name == COMPARISONS:
        raise ValueError(f"the name {COMPARISONS!r} is kept for `latentwatch check`")
    return plain_name(name)


class LineSettings(BaseModel):
    """One watched line: where its versions appear and when one is complete."""

    model_config = TABLE

    name: Annotated[str, AfterValidator(usable_line_name)]
    directory: NamedPath | None = None
    """Its immediate subdirectories are the versions."""
    hub: HubLine | None = None
    objects: ObjectsLine | None = None
    mlflow: MlflowLine | None = None
    adapters: AdaptersOfLine | None = None
    """Without it adapters are refused."""
    include: str = Field(default="*", min_length=1)
    """Glob for the names of versions in a directory or an object store."""
    ready_marker: PlainName | None = None
    """File that the publisher writes last; without it a push is ready after the quiet period."""
    quiet_seconds: float = Field(default=60.0, ge=0, le=YEAR)
    """How long no file of a push may have changed."""
    quiet_polls: int = Field(default=2, ge=1)
    """Over how many polls that has to be seen, unless the files' times say it already."""
    trusted: VersionName | None = None
    """Version that is trusted at the start; later on `latentwatch trust` decides."""
    anchor: VersionName | None = None
    """Trusted version with which every push is compared too, so that small steps can't add up."""

    @property
    def source(self) -> Path | HubLine | ObjectsLine | MlflowLine:
        """The one place where its versions appear."""
        return next(place for place in self._places().values() if place is not None)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        places = self._places()
        named = [key for key, place in places.items() if place is not None]
        if len(named) != 1:
            found = " and ".join(named) or "none"
            raise ValueError(
                f"line {self.name}: names {found} as its source; name exactly one of "
                f"{', '.join(places)}"
            )
        if self.include != "*" and named[0] in ("hub", "mlflow"):
            remedy = "name branches and tags in hub.refs" if self.hub else "every version is seen"
            raise ValueError(
                f"line {self.name}: include is for a directory or an object store, and {named[0]} "
                f"has none; remove it ({remedy})"
            )
        return self

    def _places(self) -> dict[str, Path | HubLine | ObjectsLine | MlflowLine | None]:
        return {
            "directory": self.directory,
            "hub": self.hub,
            "objects": self.objects,
            "mlflow": self.mlflow,
        }
