"""The explanations of a whole outcome, with a real endpoint that also fails."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from alerts.evidence import Evidence, HighlightedExample
from monitor.settings.explainer import ExplainerSettings
from tests.alerts import samples
from tests.alerts.chat_server import Answer, ChatServer, chat_server, says
from tests.workers.conftest import Silent
from workers.explain import with_explanations
from workers.keeping.store import LocalStore
from workers.stages.describe import Description, Descriptions
from workers.verdicts.outcome import Outcome

OUTCOME = Outcome(samples.flagged(), samples.evidence())
NAMES = [feature.id for feature in OUTCOME.verdict.features]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def settings(server: ChatServer, **changes: Any) -> ExplainerSettings:
    values = {"base_url": server.url, "model": "small-judge", "api_key": "k", "max_features": 2}
    return ExplainerSettings.model_validate(values | changes)


def described() -> Descriptions:
    description = Description(
        label="",
        top_tokens=[],
        raised_tokens=None,
        lowered_tokens=None,
        template_share=None,
        elsewhere=None,
        examples=[HighlightedExample(tokens=["The", " moral"], activations=[0.0, 2.0])],
        firing_texts=[f"moral {n}" for n in range(20)],
        near_texts=[f"mortar {n}" for n in range(10)],
        random_texts=[f"wheel {n}" for n in range(10)],
    )
    return Descriptions(features=dict.fromkeys(NAMES, description))


def helpful(request: dict[str, Any]) -> Answer:
    asked = request["messages"][-1]["content"]
    if not asked.startswith("Description:"):
        return says('{"description": "a moral", "difference": "no difference"}')
    texts = asked.split("\n\n")[1:]
    return says(json.dumps({"fitting": [n for n, t in enumerate(texts, 1) if "moral" in t]}))


def test_nobody_is_asked_unless_an_endpoint_is_set(store: LocalStore) -> None:
    found = with_explanations(OUTCOME, described(), ExplainerSettings(), store, Silent())
    assert found is OUTCOME


def test_the_first_features_are_described_and_the_description_tested(
    server: ChatServer, store: LocalStore
) -> None:
    server.reply = helpful
    found = with_explanations(OUTCOME, described(), settings(server), store, Silent())
    assert found.verdict == OUTCOME.verdict
    first, second = found.evidence.explanations
    assert (first.feature, second.feature) == tuple(NAMES[:2])
    assert (first.description, first.difference) == ("a moral", "no difference")
    assert first.detection is not None and first.detection.score == 1.0 and first.detection.n == 40
    assert Evidence.model_validate_json(found.evidence.model_dump_json()) == found.evidence
    asked = len(server.requests)
    assert asked == 5  # both features have the same examples here, and each question is asked once
    again = with_explanations(OUTCOME, described(), settings(server), store, Silent())
    assert again == found and len(server.requests) == asked
    with_explanations(OUTCOME, described(), settings(server, model="other"), store, Silent())
    assert len(server.requests) == 2 * asked
    with chat_server() as elsewhere:  # may serve other weights under the same name
        elsewhere.reply = helpful
        with_explanations(OUTCOME, described(), settings(elsewhere), store, Silent())
        assert len(elsewhere.requests) == asked


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(400, b"no such model"), "the endpoint answered with 400 no such model"),
        (says("I can't help with that."), "the reply is not in the form that was asked for"),
        (Answer(429, b"", {"Retry-After": "900"}), "asks to wait 900 s"),
    ],
)
def test_failures_are_reasons_and_are_asked_again_next_time(
    server: ChatServer, store: LocalStore, answer: Answer, reason: str
) -> None:
    server.replies(answer)
    found = with_explanations(OUTCOME, described(), settings(server), store, Silent())
    assert found.verdict == OUTCOME.verdict
    for explanation in found.evidence.explanations:
        assert explanation.detection is None and reason in (explanation.unscored or "")
    server.reply = helpful
    repaired = with_explanations(OUTCOME, described(), settings(server), store, Silent())
    assert all(explanation.detection for explanation in repaired.evidence.explanations)


def test_a_failed_judge_leaves_the_description_unscored(
    server: ChatServer, store: LocalStore
) -> None:
    server.reply = lambda request: (
        says("none of them") if "Description:" in str(request) else helpful(request)
    )
    found = with_explanations(OUTCOME, described(), settings(server), store, Silent())
    (first, _) = found.evidence.explanations
    assert first.description == "a moral" and first.detection is None
    assert first.unscored == "the judge's reply is not in the form that was asked for"


def test_no_pattern_is_a_good_answer(server: ChatServer, store: LocalStore) -> None:
    server.replies(says('{"description": "No clear pattern.", "difference": "no difference"}'))
    found = with_explanations(OUTCOME, described(), settings(server), store, Silent())
    (first, _) = found.evidence.explanations
    assert first.unscored == "it names no pattern to test" and len(server.requests) == 1


def test_time_is_bounded(server: ChatServer, store: LocalStore) -> None:
    little = settings(server, total_seconds=1e-9)
    found = with_explanations(OUTCOME, described(), little, store, Silent())
    assert {e.unscored for e in found.evidence.explanations} == {
        "the time for explanations was over"
    }
    assert server.requests == []


def test_what_nobody_expected_costs_no_verdict(
    server: ChatServer, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("workers.explain.detect", broken)
    server.reply = helpful
    found = with_explanations(OUTCOME, described(), settings(server), store, Silent())
    assert found.evidence.explanations[0].unscored == "failed: RuntimeError"
