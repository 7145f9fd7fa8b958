"""Reads a JSON file that an operator may have written by hand into a pydantic model."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

ModelT = TypeVar("ModelT", bound=BaseModel)

_REMEDIES = {
    "extra_forbidden": "remove this key or correct its spelling",
    "missing": "add this key",
    "json_invalid": "correct the JSON",
}


class InvalidFileError(ValueError):
    """A file that can't be used; the message names the file, each field and the remedy."""


def read_json(path: Path, model: type[ModelT]) -> ModelT:
    """The content of `path` as `model`. Raises InvalidFileError, also when it can't be read."""
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidFileError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error
    except ValidationError as error:
        problems = "\n".join(
            f"  {'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}; "
            + _REMEDIES.get(problem["type"], "correct this value")
            for problem in error.errors(include_url=False)
        )
        raise InvalidFileError(f"{path}: not a valid {model.__name__}:\n{problems}") from error
