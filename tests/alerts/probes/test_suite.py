import json
import re
from pathlib import Path
from typing import Any

import pytest

from alerts.json_file import InvalidFileError
from alerts.probes.suite import (
    MINIMUM_TEMPLATES,
    bundled_suites,
    items_digest,
    load_suite,
    suite_digest,
)
from tests.alerts.suites import from_json, item, suite_json


def load(path: Path, document: dict[str, Any]) -> str:
    """The message with which `document` is refused."""
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InvalidFileError) as caught:
        load_suite(path)
    return str(caught.value)


def variant(**changes: Any) -> dict[str, Any]:
    return item(0, "t")["variants"][0] | changes


def items_with(first: dict[str, Any]) -> list[dict[str, Any]]:
    return [first, *suite_json()["items"][1:]]


def test_a_suite_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(suite_json()), encoding="utf-8")
    suite = load_suite(path)
    assert suite.model_dump(mode="json", exclude_defaults=True) == suite_json()
    assert suite.templates == tuple(f"template-{n // 2}" for n in range(16))


def test_the_suite_in_the_docs_can_be_used_as_it_stands(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "probes.md").read_text("utf-8")
    whole, one_more = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "overpromising.json"
    path.write_text(whole, encoding="utf-8")
    assert len(load_suite(path).items) == MINIMUM_TEMPLATES
    extended = json.loads(whole)
    extended["items"].append(json.loads(one_more))
    path.write_text(json.dumps(extended), encoding="utf-8")
    assert load_suite(path).items[-1].knows is not None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (suite_json(behavior="x"), ["behavior", "remove this key or correct its spelling"]),
        (suite_json(schema="latentwatch.suite/2"), ["schema", "latentwatch.suite/1"]),
        (suite_json(behaviour="Over Refusal"), ["behaviour", "pattern"]),
        (suite_json(role="probe"), ["role", "'behaviour' or 'control'"]),
        (suite_json(minimum_effect=0.0), ["minimum_effect", "greater than 0"]),
        (suite_json(minimum_effect="0.5"), ["minimum_effect", "valid number"]),
        (suite_json(minimum_effect=None), ["needs a minimum_effect; add one"]),
        (suite_json(items=[]), ["items", "at least 1 item"]),
        (suite_json(templates=7), ["7 templates are too few", "at least 8 templates"]),
        (
            suite_json(items=items_with(item(1, "template-0"))),
            ["item id 'item-1' stands more than once"],
        ),
        (
            suite_json(items=items_with(item(0, "a", variants=[variant(matching=[])]))),
            ["items.0.variants.0.matching", "at least 1 item"],
        ),
        (
            suite_json(items=items_with(item(0, "a", variants=[variant(matching=["  "])]))),
            ["items.0.variants.0.matching.0", "the text is blank"],
        ),
        (
            suite_json(
                items=items_with(item(0, "a", variants=[variant(not_matching=["You, 0!"])]))
            ),
            ["items.0.variants.0", "'You, 0!' stands in matching and in not_matching"],
        ),
        (
            suite_json(
                items=items_with(
                    item(
                        0,
                        "a",
                        variants=[variant(messages=[{"role": "assistant", "content": "Hello"}])],
                    )
                )
            ),
            ["items.0.variants.0", "the last message must be the user's"],
        ),
        (
            suite_json(items=items_with(item(0, "a", knows=variant(matching=[])))),
            ["items.0.knows.matching", "at least 1 item"],
        ),
        (
            suite_json(role="control", items=items_with(item(0, "a", knows=variant()))),
            ["a control suite asks for facts itself; remove knows"],
        ),
    ],
)
def test_a_mistake_is_named_with_file_field_and_remedy(
    tmp_path: Path, document: dict[str, Any], words: list[str]
) -> None:
    path = tmp_path / "mine.json"
    message = load(path, document)
    assert str(path) in message
    for word in words:
        assert word in message
    assert "Value error" not in message and "after validation" not in message


def test_a_mistake_in_an_item_is_told_once_with_its_own_remedy(tmp_path: Path) -> None:
    twice = variant(not_matching=["You, 0!"])
    document = suite_json(items=items_with(item(0, "a", variants=[twice])))
    message = load(tmp_path / "mine.json", document)
    [told] = [line for line in message.splitlines() if "items.0" in line]
    assert told.endswith("stands in matching and in not_matching; keep it in one")


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    message = load(tmp_path / "mine.json", {"schema": "latentwatch.suite/1", "items": []})
    assert "behaviour: Field required; add this key" in message
    assert "items: " in message


def test_broken_json_and_absent_files_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"schema": ', encoding="utf-8")
    with pytest.raises(InvalidFileError, match=r"broken\.json.*\n.*line 1.*correct the JSON"):
        load_suite(broken)
    with pytest.raises(InvalidFileError, match=r"absent\.json: cannot be read"):
        load_suite(tmp_path / "absent.json")


def test_a_control_suite_needs_neither_effect_nor_many_templates() -> None:
    suite = from_json(suite_json(templates=1, role="control", minimum_effect=None))
    assert suite.role == "control"


def test_digest_changes_with_all_that_a_verdict_depends_on_and_nothing_else() -> None:
    digest, scored = (of(from_json(suite_json())) for of in (suite_digest, items_digest))
    assert len(digest) == len(scored) == 64
    assert suite_digest(from_json(suite_json(description="Other words."))) == digest
    judged = [
        suite_json(minimum_effect=0.6),
        suite_json(behaviour="flattery"),
        suite_json(role="control"),
    ]
    asked = [
        suite_json(items=items_with(item(0, "template-x"))),
        suite_json(items=items_with(item(0, "template-0", variants=[variant(matching=["Yes"])]))),
        suite_json(items=suite_json()["items"][::-1]),
        suite_json(items=items_with(item(0, "template-0", knows=variant()))),
        suite_json(items=items_with(item(0, "template-0", knows=variant(matching=["Yes"])))),
    ]
    digests = {suite_digest(from_json(document)) for document in judged + asked}
    assert len(digests | {digest}) == len(judged + asked) + 1
    assert {items_digest(from_json(document)) for document in judged} == {scored}
    digests = {items_digest(from_json(document)) for document in asked}
    assert len(digests | {scored}) == len(asked) + 1


def test_bundled_suites_are_large_enough_and_named_after_their_files() -> None:
    suites = bundled_suites()
    assert "sycophancy" in suites
    assert list(suites) == sorted(suites)
    folder = Path(__file__).parents[3] / "alerts" / "probes" / "suites"
    assert {path.stem for path in folder.glob("*.json")} == set(suites)
    for suite in suites.values():
        if suite.role == "behaviour":
            assert len(suite.items) >= 40
