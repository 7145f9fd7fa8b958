"""The dialog in which a reviewer asks for more, and what it was filled in with."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from slack_sdk.models.blocks import (
    InputBlock,
    Option,
    PlainTextInputElement,
    PlainTextObject,
    StaticSelectElement,
)
from slack_sdk.models.views import View

from alerts.question import LONGEST_PROMPT, MOST_SEEDS, Asked, PromptAsked, SeedsAsked, SuiteAsked
from alerts.records.feature import Feature
from alerts.slack.actions import ASK
from alerts.slack.sections import words
from alerts.slack.text import literal
from alerts.wording import count, readable

WHAT, PROMPT, FEATURE = "what", "prompt", "feature"
"""Ids of the blocks, and of the element of each."""
_STEER, _SEEDS, _SUITE, _CANCEL = "steer", "seeds:", "suite:", "cancel:"
_OPTIONS, _LABEL, _VALUE = 100, 75, 150


def question_modal(
    token: str,
    channel: str,
    version: str,
    features: Sequence[Feature],
    suites: Sequence[str],
    *,
    seeds: bool,
    waiting: Mapping[int, str],
    model_text: bool,
) -> dict[str, Any]:
    """Asks what to find out about `version`; `model_text` allows labels of features."""
    steer = Option(value=_STEER, label="Answer a prompt, steered with a feature")
    train = [
        Option(value=f"{_SEEDS}{n}", label=f"Train with {count(n, 'further seed')}")
        for n in range(1, MOST_SEEDS * seeds + 1)
    ]
    measure = [
        Option(value=f"{_SUITE}{name}", label=literal(f"Measure {readable(name)}", _LABEL))
        for name in suites
    ]
    offered = _offered(features)
    cancel = [
        Option(value=f"{_CANCEL}{n}", label=literal(f"Cancel question {n}: {what}", _LABEL))
        for n, what in waiting.items()
    ]
    options = [*([steer] if offered else []), *train, *measure]
    # What comes first is chosen already, and so must not be a cancelling while there is more.
    options = [*options[: _OPTIONS - len(cancel)], *cancel]
    steering = (
        []
        if not offered
        else [
            _input(
                PROMPT,
                "Prompt, to be answered by both models and by both steered",
                PlainTextInputElement(action_id=PROMPT, multiline=True, max_length=LONGEST_PROMPT),
                optional=True,
            ),
            _input(
                FEATURE,
                "Feature that is taken away and added",
                StaticSelectElement(
                    action_id=FEATURE,
                    placeholder="Choose a feature",
                    options=[_option(f, model_text) for f in offered],
                ),
                optional=True,
            ),
        ]
    )
    view = View(
        type="modal",
        callback_id=ASK,
        private_metadata=json.dumps({"token": token, "channel": channel}),
        title=PlainTextObject(text="Ask for more"),
        submit=PlainTextObject(text="Ask"),
        close=PlainTextObject(text="Cancel"),
        blocks=[
            words(
                f"*{literal(version, 200)}*\nA worker answers in the thread. What you ask, and the "
                "answer, are kept in the audit log."
            ),
            _input(
                WHAT,
                "What?",
                StaticSelectElement(action_id=WHAT, options=options, initial_option=options[0]),
            ),
            *steering,
        ],
    )
    return view.to_dict()


def cancelled_by(what: str) -> int | None:
    """The number of the question that the dialog cancels; None where it asks one."""
    number = what.removeprefix(_CANCEL)
    return int(number) if what.startswith(_CANCEL) and number.isdecimal() else None


def asked_of(what: str, prompt: str, feature: str | None) -> Asked | dict[str, str]:
    """What the dialog asks for; by block what is wrong with it, where something is."""
    try:
        if what.startswith(_SEEDS):
            return SeedsAsked.model_validate({"seeds": what.removeprefix(_SEEDS)})
        if what.startswith(_SUITE):
            return SuiteAsked(suite=what.removeprefix(_SUITE))
        if not prompt.strip():
            return {PROMPT: "Write the prompt."}
        if feature is None:
            return {FEATURE: "Choose the feature."}
        return PromptAsked(prompt=prompt, feature=feature)
    except ValidationError as error:
        [first, *_] = error.errors()
        block = str(first["loc"][0])
        return {block if block in (PROMPT, FEATURE) else WHAT: literal(first["msg"], 200)}


def _offered(features: Sequence[Feature]) -> list[Feature]:
    """Those whose id can be the value of an option as it stands."""
    return [feature for feature in features if len(feature.id) <= _VALUE][:_OPTIONS]


def _option(feature: Feature, model_text: bool) -> Option:
    about = feature.label or " ".join(feature.top_tokens[:4])
    label = f"{feature.id}: {about}" if model_text and about else feature.id
    return Option(value=feature.id, label=literal(label, _LABEL))


def _input(block: str, label: str, element: Any, optional: bool = False) -> InputBlock:
    text = PlainTextObject(text=label)
    return InputBlock(block_id=block, label=text, element=element, optional=optional)
