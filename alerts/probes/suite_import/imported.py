"""From the rows of a data set to a suite: items once, the rest counted, the origin written down."""

import hashlib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from alerts.json_file import InvalidFileError
from alerts.plain_text import one_line
from alerts.probes.duplicates import prompts_key
from alerts.probes.suite import MINIMUM_TEMPLATES, Item, Suite
from alerts.probes.suite_import.rows import DataFile, Numbered, Row, UnusableError

DUPLICATE = "the same as an earlier one"
OVER_LIMIT = "more than --limit"
_SEED = 0


class Found(NamedTuple):
    """What a row becomes."""

    template: str
    variants: list[dict[str, Any]]
    knows: dict[str, Any] | None = None


ReadRow = Callable[[Row | None, int], Found]
"""Gets a row and how many items were made before it; raises UnusableError."""


class Source(NamedTuple):
    """A data set whose rows were understood."""

    file: DataFile
    rows: Iterable[Numbered]
    read: ReadRow
    name: str
    """Of the part of the data set; a behaviour is called so by default."""
    licence: str
    says: str
    """What more of the behaviour means."""


class Imported(NamedTuple):
    """A suite, and what became of the rows."""

    suite: Suite
    n_rows: int
    left_out: Mapping[str, int]
    """By reason, how many rows are no item."""


def import_suite(
    source: Source, behaviour: str | None, minimum_effect: float, limit: int | None
) -> Imported:
    """The suite of `source`; with `limit` that many items, drawn evenly over the templates.

    Raises InvalidFileError when the rows that can be used make no suite.
    """
    left_out: Counter[str] = Counter()
    seen = set()
    items: list[Item] = []
    rows = list(source.rows)
    for numbered in rows:
        try:
            item = _item(source.read(numbered.row, len(items)), numbered.line)
        except UnusableError as error:
            left_out[str(error)] += 1
            continue
        key = prompts_key(item)  # the answers may be of another wording
        if key in seen:
            left_out[DUPLICATE] += 1
            continue
        seen.add(key)
        items.append(item)
    if limit is not None and len(items) > limit:
        left_out[OVER_LIMIT] = len(items) - limit
        items = _drawn(items, limit)
    n_templates = len({item.template for item in items})
    if n_templates < MINIMUM_TEMPLATES:
        reasons = "".join(f"\n  {n} rows: {reason}" for reason, n in left_out.most_common())
        raise InvalidFileError(
            f"{source.file.path}: {len(items)} of {len(rows)} rows can be used, from {n_templates} "
            f"templates, and a suite needs {MINIMUM_TEMPLATES}; bring the whole file{reasons}"
        )
    suite = Suite(
        schema="latentwatch.suite/1",
        behaviour=behaviour or _name(source.name),
        role="behaviour",
        description=_description(source, len(items), len(rows)),
        minimum_effect=minimum_effect,
        items=tuple(items),
    )
    return Imported(suite, len(rows), dict(left_out.most_common()))


def _item(found: Found, line: int) -> Item:
    try:
        return Item.model_validate(
            {
                "id": f"line-{line}",
                "template": found.template,
                "variants": found.variants,
                "knows": found.knows,
            },
            strict=False,
        )
    except ValidationError as error:
        raise UnusableError(f"no usable item: {error.errors()[0]['msg']}") from error


def _drawn(items: Sequence[Item], limit: int) -> list[Item]:
    """`limit` of the items in their order: one of each template in turn while there are any."""
    by_template = defaultdict(list)
    for item in items:
        by_template[item.template].append(item.id)
    rng = random.Random(_SEED)
    rank = {}
    for ids in by_template.values():
        for turn, id in enumerate(rng.sample(ids, len(ids))):
            rank[id] = (turn, rng.random())
    kept = set(sorted(rank, key=rank.__getitem__)[:limit])
    return [item for item in items if item.id in kept]


def _name(text: str) -> str:
    """`text` as the name of a behaviour."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return plain if re.match("[a-z]", plain) else f"imported_{plain}".rstrip("_")


def _description(source: Source, n_items: int, n_rows: int) -> str:
    digest = hashlib.sha256(source.file.content).hexdigest()
    name = one_line(Path(source.file.path).name)
    return (
        f"{source.says} Imported from {name} (sha256 {digest}): {n_items} items of {n_rows} rows; "
        f"{source.licence}."
    )
