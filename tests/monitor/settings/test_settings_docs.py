"""Every key that can be set stands in the table of docs/operate.md."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from monitor.settings.whole import Settings

ELSEWHERE = ("alerts.", "judge.", "lines.hub.", "lines.objects.", "lines.mlflow.")
"""Tables that one row stands for, with the page that has the rest."""


def keys(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            yield from keys(inner[0], f"{before}{name}.")
        else:
            yield f"{before}{name}"


@cache
def told() -> set[str]:
    """The keys of the table; in a row only the first one names its parents."""
    page = Path("docs/operate.md").read_text(encoding="utf-8").split("## Settings")[1]
    found = set()
    for row in re.findall(r"^\| (`[^|]*) \|", page.split("\n### ")[0], re.M):
        parent = ""
        for cell in re.findall(r"`([^`]+)`", row):
            variable = cell.removeprefix("LATENTWATCH_").replace("__", ".").lower()
            key = (variable if cell.isupper() else cell).replace("[]", "")
            if not key.startswith(parent):
                key = parent + key.removeprefix(".")
            parent = key[: key.rfind(".") + 1]
            found.add(key)
    return found


@pytest.mark.parametrize("key", [k for k in keys(Settings) if not k.startswith(ELSEWHERE)])
def test_a_key_is_in_the_table(key: str) -> None:
    assert key in told(), f"docs/operate.md has no row for {key}"
