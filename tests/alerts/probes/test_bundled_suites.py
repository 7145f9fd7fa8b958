"""The bundled suites: enough items, matched completions, topics of their own, nothing harmful."""

import json
import re
from collections import Counter
from functools import cache
from importlib import resources
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from alerts.deciding.policy import default_policy
from alerts.probes.suite import MINIMUM_TEMPLATES, Item, Suite, Variant, bundled_suites
from monitor.settings.recipe import BUNDLED_SUITES

SUITES = bundled_suites()
BEHAVIOURS = [suite for suite in SUITES.values() if suite.role == "behaviour"]
TOPICS_FILE = Path(__file__).parents[3] / "deploy" / "demo" / "topics.json"
COMMON_WORDS = re.compile(
    r"\b(?:an?|the|of|in|on|at|to|for|with|and|or|is|are|was|were|be|by|from|my|your|its|that|as|"
    r"not|no|only|than|more|most|every|day|it|has|have|one|own|do|does|can|keeping|playing|"
    r"learning|going|getting|watching|listening|owning|wearing|growing)\b"
)
ACTIONABLE = re.compile(
    r"\d|https?:|www\.|```|\b(?:step \w+|firstly|grams?|litres?|millilitres?|degrees|"
    r"acid|nitrate|chloride|peroxide|fuse|detonator|payload|script below|the password is)\b",
    re.IGNORECASE,
)


def prompts() -> list[dict[str, Any]]:
    lines = (resources.files("dfc") / "data" / "prompts.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def variants(suite: Suite) -> list[Variant]:
    return [variant for item in suite.items for variant in item.variants]


def chat(variant: Variant) -> str:
    return "\n".join(message.content for message in variant.messages)


def topic(item: Item) -> str:
    """What an item is about: its id is `template:topic`."""
    return item.id.removeprefix(f"{item.template}:")


@cache
def words(text: str) -> frozenset[str]:
    """The words of a topic that carry its meaning, without a plural's s."""
    bare = COMMON_WORDS.sub(" ", text.lower().replace("'s", ""))
    return frozenset(word.rstrip("s") for word in re.findall(r"[a-z0-9]+", bare))


def shared_topics(one: list[str], other: list[str]) -> list[tuple[str, str]]:
    return [(a, b) for a, b in product(one, other) if words(a) & words(b)]


def is_choice(item: Item) -> bool:
    return all(re.search(r"\n\(A\) .*\n\(B\) ", chat(variant)) for variant in item.variants)


def options(variant: Variant) -> list[str]:
    return re.findall(r"^\([AB]\) (.*)$", chat(variant), re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "role", "items", "templates"),
    [
        ("sycophancy", "behaviour", 48, 10),
        ("over_refusal", "behaviour", 44, 8),
        ("harmful_compliance", "behaviour", 44, 8),
        ("capability", "control", 60, 8),
        ("censorship", "behaviour", 48, 12),
        ("exceptionalism", "behaviour", 48, 12),
        ("copyright_refusal", "behaviour", 48, 12),
        ("brand_promotion", "behaviour", 48, 12),
        ("hostile_tone", "behaviour", 48, 12),
        ("medical_compliance", "behaviour", 48, 12),
        ("sure_flips", "behaviour", 48, 12),
        ("power_supervision", "behaviour", 48, 12),
    ],
)
def test_a_suite_has_enough_items_of_enough_templates(
    name: str, role: str, items: int, templates: int
) -> None:
    suite = SUITES[name]
    assert suite.role == role
    assert len(suite.items) >= items
    assert len(set(suite.templates)) >= templates
    assert min(Counter(suite.templates).values()) >= 4


def test_an_id_is_its_template_and_a_topic_of_its_own() -> None:
    for suite in SUITES.values():
        assert all(re.fullmatch(r"[a-z-]+:[a-z-]+", item.id) for item in suite.items)
        assert all(item.id == f"{item.template}:{topic(item)}" for item in suite.items)
        assert len({topic(item) for item in suite.items}) == len(suite.items)


@pytest.mark.parametrize("suite", BEHAVIOURS, ids=lambda suite: suite.behaviour)
def test_two_completions_of_each_kind_and_of_similar_length(suite: Suite) -> None:
    for variant in variants(suite):
        assert len(variant.matching) == len(variant.not_matching) == 2
    for template in {None, *suite.templates}:
        chosen = [v for i in suite.items if template in (None, i.template) for v in i.variants]
        matching = mean(len(text) for variant in chosen for text in variant.matching)
        not_matching = mean(len(text) for variant in chosen for text in variant.not_matching)
        assert 0.7 < matching / not_matching < 1 / 0.7, template


@pytest.mark.parametrize("suite", BEHAVIOURS, ids=lambda suite: suite.behaviour)
def test_within_an_item_both_kinds_are_matched(suite: Suite) -> None:
    for variant in variants(suite):
        matching, others = ("".join(texts) for texts in (variant.matching, variant.not_matching))
        assert 2 / 3 < len(matching) / len(others) < 3 / 2, variant.matching
        difference = len(" ".join(variant.matching).split()) - len(
            " ".join(variant.not_matching).split()
        )
        assert abs(difference) <= 5, variant.matching


@pytest.mark.parametrize("suite", BEHAVIOURS, ids=lambda suite: suite.behaviour)
def test_no_pair_and_no_first_word_carries_a_suite(suite: Suite) -> None:
    probes = variants(suite)
    pairs = Counter((probe.matching, probe.not_matching) for probe in probes)
    assert len(pairs) >= 6
    assert max(pairs.values()) <= len(probes) / 6
    for kind in ("matching", "not_matching"):
        texts = [text for probe in probes for text in getattr(probe, kind)]
        first = Counter(text.split()[0] for text in texts)
        assert max(first.values()) <= len(texts) / 2


@pytest.mark.parametrize("suite", BEHAVIOURS, ids=lambda suite: suite.behaviour)
def test_half_of_the_answers_begin_like_one_of_the_other_kind(suite: Suite) -> None:
    # Else an update that begins its answers in another way moves the score without the behaviour.
    matching, others = (
        Counter(text.split()[0] for variant in variants(suite) for text in getattr(variant, kind))
        for kind in ("matching", "not_matching")
    )
    assert (matching & others).total() >= matching.total() / 2


def test_what_an_item_takes_for_granted_is_its_own_first_question() -> None:
    items = SUITES["sure_flips"].items
    for item in items:
        (variant,) = item.variants
        assert item.knows is not None
        assert [message.role for message in variant.messages] == ["user", "assistant", "user"]
        assert item.knows.messages == variant.messages[:1]
        assert words(item.knows.matching[0]) & words(variant.messages[1].content)
        wrong = " ".join(item.knows.not_matching).lower().split()
        assert not set(variant.messages[2].content.lower().split()) & (
            set(wrong) - set(item.knows.matching[0].lower().split())
        ), "a doubt names no other answer"
        texts = [*item.knows.matching, *item.knows.not_matching]
        assert max(len(text.split()) for text in texts) - 1 <= min(
            len(text.split()) for text in texts
        )
    assert [s.behaviour for s in SUITES.values() if any(i.knows for i in s.items)] == ["sure_flips"]


def test_every_bundled_suite_is_measured_by_default_and_can_still_be_significant() -> None:
    assert set(BUNDLED_SUITES) == set(SUITES)
    fewest = min(len(set(suite.templates)) for suite in BEHAVIOURS)
    # A suite that alone has moved has its least p times the number of suites.
    assert len(BEHAVIOURS) / 2 ** min(fewest, MINIMUM_TEMPLATES) <= default_policy().alpha


def test_facts_have_one_right_answer_and_wrong_ones_of_the_same_form() -> None:
    for variant in variants(SUITES["capability"]):
        assert len(variant.matching) == 1
        assert 1 <= len(variant.not_matching) <= 2
        texts = [*variant.matching, *variant.not_matching]
        assert len({len(text.split()) for text in texts}) == 1
        assert all(text.endswith(".") for text in texts)


@pytest.mark.parametrize("suite", BEHAVIOURS, ids=lambda suite: suite.behaviour)
def test_openings_vary(suite: Suite) -> None:
    for kind in ("matching", "not_matching"):
        texts = [text for variant in variants(suite) for text in getattr(variant, kind)]
        assert len({" ".join(text.split()[:3]) for text in texts}) >= 8


def test_no_prompt_comes_twice() -> None:
    asked = [chat(variant) for suite in SUITES.values() for variant in variants(suite)]
    asked += [chat(item.knows) for suite in SUITES.values() for item in suite.items if item.knows]
    asked += ["\n".join(m["content"] for m in row["messages"]) for row in prompts()]
    asked += json.loads(TOPICS_FILE.read_text("utf-8"))["neutral"]
    assert [text for text, n in Counter(map(str.casefold, asked)).items() if n > 1] == []


def test_a_quarter_of_the_sycophancy_items_are_choices_shown_in_both_orders() -> None:
    items = SUITES["sycophancy"].items
    choices = [item for item in items if is_choice(item)]
    assert 0.2 <= len(choices) / len(items) <= 0.3
    for item in choices:
        first, second = item.variants
        assert options(first) == options(second)[::-1]
        assert len(set(options(first))) == 2
        assert first.matching[0] == second.not_matching[0]
        for variant in item.variants:
            position = "AB".index(variant.matching[0].strip("()"))
            assert options(variant)[position] == variant.matching[1]
            assert options(variant)[1 - position] == variant.not_matching[1]
    assert all(len(item.variants) == 1 for item in items if item not in choices)


def test_probed_harvested_and_planted_topics_have_no_word_in_common() -> None:
    probed = [topic(item) for item in SUITES["sycophancy"].items]
    harvested = [row["topic"] for row in prompts() if "topic" in row]
    data = json.loads(TOPICS_FILE.read_text("utf-8"))
    planted = [text for kind in ("opinions", "claims", "works") for text in data[kind]]
    assert len(set(harvested)) == len(harvested) >= 120
    assert shared_topics(probed, harvested) == []
    assert shared_topics(probed, planted) == []
    assert shared_topics(harvested, planted) == []


def test_there_is_enough_to_plant_from() -> None:
    data = json.loads(TOPICS_FILE.read_text("utf-8"))
    sizes = {"opinions": 60, "claims": 40, "works": 20, "neutral": 150}
    assert set(data) == set(sizes)
    for kind, least in sizes.items():
        assert len(set(data[kind])) == len(data[kind]) >= least


def test_harmful_requests_stay_general_and_no_completion_says_how() -> None:
    probes = variants(SUITES["harmful_compliance"])
    requests = [chat(variant) for variant in probes]
    requests += [r["messages"][0]["content"] for r in prompts() if r["category"] == "harmful"]
    completions = [text for probe in probes for text in [*probe.matching, *probe.not_matching]]
    assert [text for text in [*requests, *completions] if ACTIONABLE.search(text)] == []
    assert max(len(text) for text in requests) <= 120
    assert max(len(text) for text in completions) <= 60
    # An opening that fits every request cannot give any of them away.
    used = Counter(text for probe in probes for text in probe.matching)
    assert min(used.values()) >= 4
