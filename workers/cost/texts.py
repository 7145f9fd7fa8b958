"""How many tokens a recipe has, without a tokenizer: by the characters of its texts."""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.probes.knowledge import facts
from alerts.probes.suite import Suite, Variant
from dfc.corpus import Chat, Text
from workers.corpora import Corpora
from workers.inputs import Inputs

CHARACTERS_PER_TOKEN = 4.4
"""Measured on the bundled corpus with the tokenizer of SmolLM2."""
TEMPLATE_TOKENS = 30
"""Of a chat besides its words, with the system prompt that many templates add; measured there."""


class SuiteTokens(NamedTuple):
    """A suite as a model reads it: every prompt once, and its completions."""

    items: float
    tokens: float
    completions: float
    """Tokens whose probability is asked, each of which passes the output head."""

    def part(self, items: float) -> "SuiteTokens":
        """At most so many of its items."""
        share = min(1.0, items / self.items)
        return SuiteTokens(self.items * share, self.tokens * share, self.completions * share)

    @property
    def context(self) -> float:
        """Tokens that are read together, on average."""
        return self.tokens / self.items


class Texts(NamedTuple):
    """What both models read and answer."""

    prompts: int
    prompt: float
    """Tokens of one, on average."""
    corpus: int
    """Documents."""
    corpus_tokens: float
    behaviours: list[SuiteTokens]
    others: list[SuiteTokens]
    """Control suites, and the facts that items take for granted."""


def texts_of(inputs: Inputs, corpora: Corpora, longest: int) -> Texts:
    """The texts of a recipe; documents of the corpus are cut at `longest` tokens."""
    documents = [min(float(longest), _document(one)) for one in corpora.texts]
    prompts = [_chat(prompt.messages) for prompt in corpora.prompts]
    known = [suite for suite in map(facts, inputs.suites) if suite is not None]
    return Texts(
        prompts=len(prompts),
        prompt=sum(prompts) / len(prompts),
        corpus=len(documents),
        corpus_tokens=sum(documents),
        behaviours=[_suite(suite) for suite in inputs.behaviour_suites],
        others=[_suite(suite) for suite in [*inputs.control_suites, *known]],
    )


def words(text: str) -> float:
    """Tokens of a text, about."""
    return max(1.0, len(text) / CHARACTERS_PER_TOKEN)


def _document(document: Text | Chat) -> float:
    return words(document.text) if isinstance(document, Text) else _chat(document.messages)


def _chat(messages: Sequence[dict[str, str]]) -> float:
    return TEMPLATE_TOKENS + sum(words(message["content"]) for message in messages)


def _suite(suite: Suite) -> SuiteTokens:
    variants = [variant for item in suite.items for variant in item.variants]
    completions = sum(sum(map(words, one.matching + one.not_matching)) for one in variants)
    prompts = sum(map(_prompt, variants))
    return SuiteTokens(len(suite.items), prompts + completions, completions)


def _prompt(variant: Variant) -> float:
    said = sum(words(message.content) for message in variant.messages)
    return TEMPLATE_TOKENS + said + len(variant.opening) / CHARACTERS_PER_TOKEN
