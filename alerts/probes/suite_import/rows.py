"""Rows of a data set: read with their numbers, used or counted with the reason why not."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from alerts.json_file import InvalidFileError

Row = Mapping[str, Any]
LARGEST_FILE = 500_000_000
"""Bytes."""


class UnusableError(Exception):
    """Why a row can't become an item, in words by which such rows are counted."""


class Numbered(NamedTuple):
    """A row and the line of the file at which it ends, from 1."""

    line: int
    row: Row | None
    """None where the line is no JSON object."""


class DataFile(NamedTuple):
    """The bytes of a file and where they lie."""

    path: Path
    content: bytes

    @property
    def text(self) -> str:
        """Raises InvalidFileError for what is not UTF-8."""
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidFileError(
                f"{self.path}: is not UTF-8 ({error.reason} at byte {error.start}); convert it"
            ) from error


def read_file(path: Path) -> DataFile:
    """Raises InvalidFileError when it can't be read or is too large."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InvalidFileError(
                f"{path}: is larger than {LARGEST_FILE:,} bytes; cut it into several"
            )
        return DataFile(path, path.read_bytes())
    except OSError as error:
        raise InvalidFileError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error


def jsonl(file: DataFile) -> Iterator[Numbered]:
    """The rows of a JSONL file, blank lines left out."""
    # By line feeds alone: other line ends of Unicode may stand inside a JSON string.
    for line, text in enumerate(file.text.split("\n"), start=1):
        if text.strip():
            yield Numbered(line, _json_object(text))


def csv_rows(file: DataFile) -> tuple[list[str], list[Numbered]]:
    """The columns of a CSV file, and its rows. Raises InvalidFileError for what is no CSV."""
    reader = csv.DictReader(io.StringIO(file.text, newline=""), strict=True)
    try:
        rows = [Numbered(reader.line_num, row) for row in reader]
    except csv.Error as error:
        if "field larger than" in str(error):
            raise InvalidFileError(
                f"{file.path}: line {reader.line_num}: a field is longer than "
                f"{csv.field_size_limit():,} characters; shorten it, or close the quote that "
                "begins it"
            ) from error
        raise InvalidFileError(
            f"{file.path}: line {reader.line_num}: is no CSV ({error}); mend its quotes"
        ) from error
    return list(reader.fieldnames or []), rows


def text_of(row: Row, *keys: str) -> str:
    """The text at `keys`, one within the other. Raises UnusableError where there is none."""
    value: Any = row
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not value.strip():
        raise UnusableError(f"no text in {'.'.join(keys)}")
    return whole_characters(value)


def whole_characters(text: str) -> str:
    """`text` itself. Raises UnusableError for half characters, which no file can hold."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UnusableError("half a character (a surrogate alone) in its text")
    return text


def whole(row: Row | None) -> Row:
    """The row. Raises UnusableError where the line is no JSON object."""
    if row is None:
        raise UnusableError("the line is no JSON object")
    return row


def _json_object(text: str) -> Row | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
