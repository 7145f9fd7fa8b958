"""Asks a model to describe features, when all figures of the verdict are fixed.

Whatever goes wrong here leaves the outcome as it is, with a reason in place of the description.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from alerts.causes.detection import detect
from alerts.causes.explainer import NO_PATTERN, explained, question
from alerts.causes.explanation import Explanation
from alerts.chat_endpoint import ChatEndpoint, EndpointError, Message, ReadT
from dfc.canonical import digest_of
from monitor.settings.explainer import ExplainerSettings
from workers.errors import StoreError
from workers.keeping.artifact import Result, computed_once
from workers.keeping.store import Store
from workers.progress import DiffProgress
from workers.stages.describe import Description, Descriptions
from workers.verdicts.outcome import Outcome

logger = logging.getLogger(__name__)
STAGE = "explain"


class _Reply(Result):
    text: str


class _Questions(NamedTuple):
    """Asks each question once: replies that could be read are kept by endpoint, model, request
    and question."""

    endpoint: ChatEndpoint
    store: Store
    deadline: float

    def ask(self, messages: Sequence[Message], read: Callable[[str], ReadT]) -> ReadT:
        endpoint = self.endpoint
        asked = [dict(message) for message in messages]
        made_of = [endpoint.base_url, endpoint.model, dict(endpoint.request), asked]
        key = f"shared/explainer/{digest_of(made_of)}"

        def compute(_: object) -> _Reply:
            if time.monotonic() > self.deadline:
                raise EndpointError("the time for explanations was over")
            text = endpoint.ask(messages)
            read(text)
            return _Reply(text=text)

        try:
            kept = computed_once(self.store, key, _Reply, compute, time.monotonic)
        except StoreError as error:
            raise EndpointError(f"its answers can't be kept: {error}") from error
        return read(kept.result.text)


def with_explanations(
    outcome: Outcome,
    descriptions: Descriptions | None,
    settings: ExplainerSettings,
    store: Store,
    progress: DiffProgress,
) -> Outcome:
    """`outcome` with explanations of its first features, if there is anybody to ask."""
    endpoint = settings.endpoint()
    if endpoint is None or descriptions is None:
        return outcome
    named = [f.id for f in outcome.verdict.features if f.id in descriptions.features]
    start = time.monotonic()
    questions = _Questions(endpoint, store, start + settings.total_seconds)
    progress.begin(STAGE)
    wanted = named[: settings.max_features]
    explanations = []
    for done, name in enumerate(wanted, start=1):
        explanations.append(_explanation(name, descriptions.features[name], questions))
        progress.step("features", done, len(wanted))
    progress.end(STAGE, time.monotonic() - start, reused=False)
    evidence = outcome.evidence.model_copy(update={"explanations": explanations})
    return outcome._replace(evidence=evidence)


def _explanation(name: str, feature: Description, questions: _Questions) -> Explanation:
    said: dict[str, str] = {}
    detection, unscored = None, None
    try:
        answer = questions.ask(question(feature.examples), explained)
        said = answer.model_dump()
        if answer.description.lower().startswith(NO_PATTERN):
            raise EndpointError("it names no pattern to test")
        texts = (feature.firing_texts, feature.near_texts, feature.random_texts)
        detection = detect(answer.description, *texts, questions.ask)
    except EndpointError as error:
        unscored = str(error)
    except Exception as error:  # whatever it is, it must not cost the verdict
        logger.exception("the explanation of %s failed", name)
        unscored = f"failed: {type(error).__name__}"
    model = questions.endpoint.model
    return Explanation(feature=name, model=model, **said, detection=detection, unscored=unscored)
