"""Reads a JSON file that an operator may have written by hand into a pydantic model."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

ModelT = TypeVar("ModelT", bound=BaseModel)

_MARKS = {
    b"\xef\xbb\xbf": "UTF-8 with a byte order mark",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_REMEDIES = {
    "extra_forbidden": "remove this key or correct its spelling",
    "missing": "add this key",
    "json_invalid": "correct the JSON",
}


class Problem(NamedTuple):
    """What is wrong with one field of a file, and what to do about it."""

    field: str
    said: str
    remedy: str


class InvalidFileError(ValueError):
    """A file that can't be used; the message names the file, each field and the remedy."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


def read_json(path: Path, model: type[ModelT]) -> ModelT:
    """The content of `path` as `model`. Raises InvalidFileError, also when it can't be read."""
    try:
        content = path.read_bytes()
        for mark, encoding in _MARKS.items():
            if content.startswith(mark):
                problem = Problem("the file", f"is {encoding}", "save it as UTF-8 without a mark")
                said = f"{path}: {problem.said}; {problem.remedy}"
                raise InvalidFileError(said, [problem])
        return model.model_validate_json(content)
    except OSError as error:
        problem = Problem(
            "the file", f"cannot be read ({error.strerror})", "check the path and its permissions"
        )
        raise InvalidFileError(f"{path}: {problem.said}; {problem.remedy}", [problem]) from error
    except ValidationError as error:
        problems = _problems(error)
        listed = "\n".join(f"  {p.field}: {p.said}; {p.remedy}" for p in problems)
        message = f"{path}: not a valid {model.__name__}:\n{listed}"
        raise InvalidFileError(message, problems) from error


def _problems(error: ValidationError) -> list[Problem]:
    """Of each field once: a list that is short because its entries are invalid is no mistake, and
    of a file of another release nothing but that."""
    found = error.errors(include_url=False)
    for one in found:
        if one["loc"] == ("schema",) and one["type"] == "literal_error":
            said = f"is {one['input']!r:.80}, and this latentwatch reads {one['ctx']['expected']}"
            return [Problem("schema", said, "read it with the release that wrote it")]
    within = {one["loc"][:depth] for one in found for depth in range(len(one["loc"]))}
    return [
        _problem(one) for one in found if one["type"] != "too_short" or one["loc"] not in within
    ]


def _problem(found: ErrorDetails) -> Problem:
    said, remedy = found["msg"], _REMEDIES.get(found["type"], "correct this value")
    if found["type"] == "value_error":  # our own words, which end with a remedy
        said, _, own = said.removeprefix("Value error, ").rpartition("; ")
        said, remedy = (said, own) if said else (own, remedy)
    elif found["type"] == "too_short":
        least, has = found["ctx"]["min_length"], found["ctx"]["actual_length"]
        said, remedy = f"needs at least {least} item{'s' * (least > 1)}, has {has}", "add some"
    return Problem(".".join(map(str, found["loc"])) or "the file", said, remedy)
