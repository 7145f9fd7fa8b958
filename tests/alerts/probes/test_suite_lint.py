"""What a lint finds in a suite, and that it finds nothing where there is nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from alerts.probes.starter import starter_suite
from alerts.probes.suite import Suite, bundled_suites
from alerts.probes.suite_lint.lint import lint, lint_file
from alerts.probes.suite_lint.tokens import tokens
from dfc.engines.tokenizer import Tokenizer
from tests.alerts.suites import item, suite, suite_json

NAMES = [
    "apples", "boats", "chess", "drums", "eels", "flutes", "geese", "hats", "ink", "jade",
]  # fmt: skip


def varied(n: int = 10, **variant: Any) -> list[dict[str, Any]]:
    """Items of templates of their own, alike in everything that is checked."""
    items = []
    for number, name in enumerate(NAMES[:n]):
        asked = {
            "messages": [{"role": "user", "content": f"{name} " * (number + 1) + "?"}],
            "matching": [f"I like {name}."],
            "not_matching": [f"I hate {name}."],
        }
        items.append(item(number, f"t{number}", variants=[asked | variant]))
    return items


def codes(checked: Suite) -> set[str]:
    return {finding.code for finding in lint(checked)}


def choice(n: int, matching: str, not_matching: str) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": f"{NAMES[n]}?\n(A) yes\n(B) no"}],
        "matching": [matching],
        "not_matching": [not_matching],
    }


def test_what_is_sound_is_only_called_small() -> None:
    assert codes(suite(items=varied(), behaviour="tidiness")) == {"few-items"}


def test_a_name_that_is_kept_or_a_bundled_suite_has_is_told(tmp_path: Path) -> None:
    assert "bundled-name" in codes(suite(items=varied(), behaviour="sycophancy"))
    path = tmp_path / "own.json"
    path.write_text(json.dumps(suite_json(behaviour="own_words")))
    [error] = [finding for finding in lint_file(path) if finding.level == "error"]
    assert (error.code, error.field) == ("kept-name", "behaviour")


def test_of_very_many_near_duplicates_some_are_told() -> None:
    asked = "please tell me in a few words of yours what you think of"
    items = varied(1) * 200
    for n, one in enumerate(items):
        messages = [{"role": "user", "content": f"{asked} number{n}"}]
        variant = one["variants"][0] | {"messages": messages}
        items[n] = item(n, f"t{n}", variants=[variant])
    [found] = [f for f in lint(suite(items=items)) if f.code == "near-duplicate-items"]
    assert found.said.startswith("1000 or more pairs of items ask nearly the same")


def test_the_starter_is_valid_and_only_too_small(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(starter_suite("white_lies"), encoding="utf-8")
    assert [finding.code for finding in lint_file(path)] == ["few-items"]
    assert json.loads(path.read_text("utf-8"))["behaviour"] == "white_lies"


@pytest.mark.parametrize("bundled", bundled_suites().values(), ids=lambda s: s.behaviour)
def test_the_bundled_suites_have_nothing_to_mend(bundled: Suite) -> None:
    # In capability each fact is asked once; its score only counts as right or wrong.
    assert codes(bundled) <= ({"one-order"} if bundled.role == "control" else set())


def test_an_invalid_file_is_an_error_with_field_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(suite_json(behavior="x", minimum_effect=0)), encoding="utf-8")
    found = {finding.field: finding for finding in lint_file(path)}
    assert set(found) == {"behavior", "minimum_effect"}
    assert {finding.level for finding in found.values()} == {"error"}
    assert found["behavior"].remedy == "remove this key or correct its spelling"
    (missing,) = lint_file(tmp_path / "none.json")
    assert missing.level == "error" and "check the path" in missing.remedy


def test_few_templates_are_named() -> None:
    assert "few-templates" in codes(suite(items=varied(8)))


def test_an_item_that_differs_in_case_and_punctuation_is_a_duplicate() -> None:
    items = varied()
    variant = items[0]["variants"][0]
    shouted = {
        "messages": [{"role": "user", "content": variant["messages"][0]["content"].upper() + "!"}],
        "matching": ["i like APPLES"],
        "not_matching": ["I hate apples..."],
    }
    again = item(99, "t0", variants=[shouted])
    (found,) = [f for f in lint(suite(items=[*items, again])) if f.code.endswith("items")][1:]
    assert found.code == "duplicate-items"
    assert found.items == ("item-0", "item-99")


def test_a_near_duplicate_in_another_template_is_found_and_in_its_own_is_none() -> None:
    items = varied()
    for n, word in enumerate(("Poland", "Norway")):
        asked = f"Which of the many old and large cities by the sea is the capital of {word}?"
        chat = [{"role": "user", "content": asked}]
        items[n]["variants"][0]["messages"] = chat
    (found,) = [f for f in lint(suite(items=items)) if f.code == "near-duplicate-items"]
    assert set(found.items) == {"item-0", "item-1"}
    items[1]["template"] = "t0"
    assert "near-duplicate-items" not in codes(suite(items=items))


def sharing(n_items: int) -> Suite:
    """Twenty items, of which so many have one completion in common."""
    items = [item(n, f"t{n % 10}") for n in range(20)]
    for one in items[:n_items]:
        one["variants"][0]["matching"] = ["That is so true."]
    return suite(items=items)


def test_a_completion_that_too_many_items_share_is_named() -> None:
    (found,) = [f for f in lint(sharing(13)) if f.code == "shared-completions"]
    assert found.level == "warning" and len(found.items) == 13
    assert "13 of 20 items have the completion 'That is so true.'" in found.said
    assert "the smaller half has 7 items" in found.said and "two pools" in found.remedy


def test_a_completion_that_leaves_two_halves_is_sound() -> None:
    assert "shared-completions" not in codes(sharing(12))
    control = sharing(13).model_copy(update={"role": "control"})
    assert "shared-completions" not in codes(control)


@pytest.mark.parametrize("kind", ["matching", "not_matching"])
def test_one_kind_that_is_always_longer_is_found(kind: str) -> None:
    items = varied()
    for one in items:
        one["variants"][0][kind] = [one["variants"][0][kind][0] + " And much more."]
    (found,) = [f for f in lint(suite(items=items)) if f.code == "length-bias"]
    assert ("longer" if kind == "matching" else "shorter") in found.said


def test_first_words_that_never_meet_are_found() -> None:
    items = varied()
    for n, one in enumerate(items):
        one["variants"][0]["matching"] = [f"Sure, {NAMES[n]}."]
    assert "first-word" in codes(suite(items=items))


def test_the_same_letter_always_matching_is_found_and_both_orders_are_sound() -> None:
    same = [item(n, f"t{n}", variants=[choice(n, "(A)", "(B)")]) for n in range(10)]
    assert {"option-position", "one-order"} <= codes(suite(items=same))
    both = [
        item(n, f"t{n}", variants=[choice(n, "(A)", "(B)"), choice(n, "(B)", "(A)")])
        for n in range(10)
    ]
    assert not {"option-position", "one-order"} & codes(suite(items=both))


def test_an_option_that_is_always_named_first_is_found_without_letters() -> None:
    items = [
        item(
            n,
            f"t{n}",
            variants=[
                {
                    "messages": [{"role": "user", "content": f"For {NAMES[n]}: tea or coffee?"}],
                    "matching": ["Tea."],
                    "not_matching": ["Coffee."],
                }
            ],
        )
        for n in range(10)
    ]
    (found,) = [f for f in lint(suite(items=items)) if f.code == "option-position"]
    assert "option 1" in found.said and "10 of 10" in found.said


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint: Path) -> Tokenizer:
    return Tokenizer(tiny_checkpoint)


def in_tokens(tokenizer: Tokenizer, **variant: Any) -> set[str]:
    return {found.code for found in tokens(suite(items=varied(8, **variant)), tokenizer)}


def test_completions_of_like_tokens_are_sound(tokenizer: Tokenizer) -> None:
    alike = {"matching": ["x zq"], "not_matching": ["q zx"]}
    assert in_tokens(tokenizer, **alike) == set()


def test_mismatches_of_tokens_are_found(tokenizer: Tokenizer) -> None:
    more = {"matching": ["xzqxzqxzq"], "not_matching": ["qzx"]}
    assert in_tokens(tokenizer, **more) == {"token-counts", "token-bias"}
    shared = {"matching": ["xzqk"], "not_matching": ["xzqw"]}
    assert in_tokens(tokenizer, **shared) == {"shared-tokens"}


def test_a_token_that_reaches_over_the_border_is_found(tokenizer: Tokenizer) -> None:
    whole = tokenizer.encode_text("the capital")
    split = next(
        n
        for n in range(1, len("the capital"))
        if tokenizer.encode_text("the capital"[:n]) + tokenizer.encode_text("the capital"[n:])
        != whole
    )
    cut = {"opening": "the capital"[:split], "matching": ["the capital"[split:]]}
    assert "boundary-merge" in in_tokens(tokenizer, **cut, not_matching=["zx"])


def test_an_item_that_the_model_can_not_see_whole_is_named(tokenizer: Tokenizer) -> None:
    items = varied(8)
    variant = items[3]["variants"][0]
    variant["not_matching"] = ["x zq " * 30]  # the longer completion counts
    chat = tokenizer.render_chat(variant["messages"], add_generation_prompt=True)
    variant["opening"] = "zq x zq "
    needed = sum(len(tokenizer.encode_text(text)) for text in (chat, "zq x zq ", "x zq " * 30))
    checked = suite(items=items)
    assert "too-long" not in {f.code for f in lint(checked, tokenizer, needed)}
    assert "too-long" not in {f.code for f in lint(checked, tokenizer)}
    [found] = [f for f in lint(checked, tokenizer, needed - 1) if f.code == "too-long"]
    assert found.items == ("item-3",) and str(needed) in found.said


def test_a_fact_that_the_model_can_not_see_whole_is_named(tokenizer: Tokenizer) -> None:
    items = varied(8)
    assert "too-long" not in {f.code for f in lint(suite(items=items), tokenizer, 200)}
    long = {"messages": [{"role": "user", "content": "x zq " * 200}]}
    items[5]["knows"] = {**items[5]["variants"][0], **long}
    [found] = [f for f in lint(suite(items=items), tokenizer, 200) if f.code == "too-long"]
    assert found.items == ("item-5",)


def test_a_completion_without_tokens_is_an_error(tokenizer: Tokenizer) -> None:
    class Deaf:
        render_chat = staticmethod(tokenizer.render_chat)

        def encode_text(self, text: str) -> tuple[int, ...]:
            return () if text == "☃" else tokenizer.encode_text(text)

    bad = suite(items=varied(8, matching=["☃"], not_matching=["zx"]))
    (found,) = tokens(bad, Deaf())
    assert (found.level, found.code) == ("error", "no-tokens")
    assert len(found.items) == 8


@pytest.mark.parametrize(
    "encoding, named", [("utf-8-sig", "byte order mark"), ("utf-16", "UTF-16")]
)
def test_another_encoding_is_named(tmp_path: Path, encoding: str, named: str) -> None:
    path = tmp_path / "suite.json"
    path.write_text("{}", encoding=encoding)
    [finding] = lint_file(path)
    assert named in finding.said and "save it as UTF-8" in finding.remedy
