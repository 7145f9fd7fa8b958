"""A stage's result as an artifact: computed once, read from the store ever after.

`result.json` holds the typed result and the seconds that it took; tensors lie beside it as
safetensors. A result is read back even by the process that computed it, so that a run which was
killed and went on sees exactly what an uninterrupted one sees.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from workers.errors import StoreError
from workers.keeping.store import Store

RESULT = "result.json"


class Result(BaseModel):
    """Base of the typed results of the stages; an unknown is None and never not-a-number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


ResultT = TypeVar("ResultT", bound=Result)


class Artifact(NamedTuple, Generic[ResultT]):
    """A result and the directory with the tensors that belong to it."""

    result: ResultT
    seconds: float
    directory: Path
    reused: bool
    """It was in the store already."""


class _Stored(BaseModel, Generic[ResultT]):
    seconds: float
    result: ResultT


def computed_once(
    store: Store,
    key: str,
    kind: type[ResultT],
    compute: Callable[[Path], ResultT],
    clock: Callable[[], float],
) -> Artifact[ResultT]:
    """The artifact at `key`; where there is none, `compute` makes it.

    `compute` gets the directory for its tensors and returns the result. `clock` is in seconds.
    Raises StoreError when the artifact can't be written or read.
    """
    place = store.get(key)
    if place is not None:
        return _read(place, kind, reused=True)
    with store.put(key) as directory:
        start = clock()
        result = compute(directory)
        stored = _Stored[kind](seconds=clock() - start, result=result)  # type: ignore[valid-type]
        (directory / RESULT).write_text(stored.model_dump_json(), encoding="utf-8")
    place = store.get(key)
    if place is None:
        raise StoreError(f"{key}: disappeared from the store; run the same command again")
    return _read(place, kind, reused=False)


def _read(place: Path, kind: type[ResultT], *, reused: bool) -> Artifact[ResultT]:
    path = place / RESULT
    try:
        stored = _Stored[kind].model_validate_json(path.read_bytes())  # type: ignore[valid-type]
    except (OSError, ValidationError) as error:
        raise StoreError(
            f"{path}: can't be read ({error}); remove {place} and run the same command again"
        ) from error
    return Artifact(stored.result, stored.seconds, place, reused)
