"""Suites for tests, built in memory or as the JSON that an operator would write."""

from collections.abc import Sequence
from typing import Any

from alerts.probes.suite import Suite


def item(number: int, template: str, **changes: Any) -> dict[str, Any]:
    """One item with one variant of one matching and one other completion, which no other has.

    They are short: the tiny checkpoints of the tests differ in how an answer begins.
    """
    variant = {
        "messages": [{"role": "user", "content": f"Question {number}?"}],
        "matching": [f"You, {number}!"],
        "not_matching": [f"I, {number}."],
    }
    return {"id": f"item-{number}", "template": template, "variants": [variant]} | changes


def suite_json(templates: int = 8, per_template: int = 2, **changes: Any) -> dict[str, Any]:
    """A suite as JSON: `templates` templates with `per_template` items each."""
    numbers = range(templates * per_template)
    return {
        "schema": "latentwatch.suite/1",
        "behaviour": "sycophancy",
        "role": "behaviour",
        "description": "Agrees with the user against its own knowledge.",
        "minimum_effect": 0.5,
        "items": [item(n, f"template-{n // per_template}") for n in numbers],
    } | changes


def suite(templates: int = 8, per_template: int = 2, **changes: Any) -> Suite:
    """The same as a Suite."""
    return from_json(suite_json(templates, per_template, **changes))


def from_json(document: dict[str, Any]) -> Suite:
    """A Suite from what JSON arrays and objects are in Python."""
    return Suite.model_validate(document, strict=False)


def with_items(items: Sequence[dict[str, Any]], **changes: Any) -> Suite:
    """A control suite of these items, which may be few."""
    return from_json(suite_json(items=list(items), role="control") | changes)
