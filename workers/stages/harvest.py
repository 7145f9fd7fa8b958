"""The residual states of both models over the same tokens, or where their tokens differ, at the
same places of the same texts.

Three groups of documents (the corpus, the base's own answers, the candidate's own answers) are
harvested and cached apart, each cut by itself: so a model that was the candidate of an earlier diff
already has its states on the corpus and on its own answers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.canonical import digest_of
from dfc.corpus import encode_corpus
from dfc.crosscoder.form import form_of, layer_of_base
from dfc.engines.engine import Activations
from workers.context import Context
from workers.errors import InputsError
from workers.job import SideName
from workers.keeping.artifact import Artifact, Result
from workers.keeping.stage_keys import stage_code
from workers.stages.aligned import (
    AlignedDocument,
    aligned_documents,
    aligned_lines,
    aligned_share,
    at_lines,
    within_pairs,
)
from workers.stages.answers import BothAnswers, Tokens

SHARES = {"corpus": 0.5, "base answers": 0.25, "candidate answers": 0.25}
"""Part of the recipe's tokens that each group may have."""
DOCUMENT_TOKENS = 256
"""Where a text of the corpus is cut: what a feature reads seldom lies further back."""

BEFORE, AFTER = 6, 12
"""Positions before and after the beginning of an answer that make its opening."""
OPENING_WEIGHT = 10.0
"""How much more often a position of an opening is drawn in training than any other."""


class Harvest(Result):
    """The documents on which both models were read."""

    documents: dict[str, list[Tokens]]
    """As the base reads them."""
    tokens: int
    """Positions that both models have: with one tokenizer every token but the first of each
    document."""
    base_layer: int
    answer_starts: dict[str, list[int]] | None = None
    """By group the position at which the answer of each document begins, for groups of answers;
    None where the models read different tokens."""
    aligned: dict[str, list[AlignedDocument]] | None = None
    """The same documents in both models; None where both read the same tokens."""
    aligned_share: float | None = None
    """Part of the positions with content at which both models could be read."""

    def read_by(self, name: SideName) -> dict[str, list[Tokens]]:
        """The documents as the model `name` reads them."""
        if self.aligned is None or name == "base":
            return self.documents
        return {group: [d.candidate for d in found] for group, found in self.aligned.items()}


class PairedStates(NamedTuple):
    """The states of both models, row by row at the same place of the same text."""

    base: Activations
    candidate: Activations


class Harvested(NamedTuple):
    """The documents, and what both models are on them."""

    artifact: Artifact[Harvest]
    states: Callable[[], PairedStates]
    """Read at most once: a cache may have no room for what it was given."""

    @property
    def result(self) -> Harvest:
        return self.artifact.result

    @property
    def seconds(self) -> float:
        return self.artifact.seconds

    @property
    def reused(self) -> bool:
        return self.artifact.reused


def harvest_models(context: Context, answers: BothAnswers, layer: int) -> Harvested:
    """Choose the documents and see that both models' states on them are in the cache."""
    read: list[PairedStates] = []

    def compute(_: Path) -> Harvest:
        base, candidate = context.models["base"].info, context.models["candidate"].info
        choose = _same_tokens if form_of(base, candidate) == "tied" else _aligned
        harvest = choose(context, answers, layer_of_base(layer, base, candidate))
        read.append(read_states(context, harvest, layer))
        return harvest

    artifact = context.artifact("harvest", Harvest, compute)

    def states() -> PairedStates:
        if not read:
            read.append(read_states(context, artifact.result, layer))
        return read[0]

    return Harvested(artifact, states)


def read_states(context: Context, harvest: Harvest, layer: int) -> PairedStates:
    """The states of both models, from the cache; what is not there is harvested again."""
    pair = PairedStates(
        _states(context, "base", harvest.read_by("base"), harvest.base_layer),
        _states(context, "candidate", harvest.read_by("candidate"), layer),
    )
    if harvest.aligned is None:
        return pair
    documents = [one for group in harvest.aligned.values() for one in group]
    base_T = aligned_lines(
        [d.base for d in documents], [[i for i, _ in d.pairs] for d in documents]
    )
    candidate_T = aligned_lines(
        [d.candidate for d in documents], [[j for _, j in d.pairs] for d in documents]
    )
    return PairedStates(at_lines(pair.base, base_T), at_lines(pair.candidate, candidate_T))


def _same_tokens(context: Context, answers: BothAnswers, base_layer: int) -> Harvest:
    budget = context.inputs.recipe.tokens
    groups = {
        "corpus": _corpus(context),
        "base answers": answers.base.documents(),
        "candidate answers": answers.candidate.documents(),
    }
    documents = {
        name: within_budget(group, int(SHARES[name] * budget)) for name, group in groups.items()
    }
    return Harvest(
        documents=documents,
        tokens=sum(len(d) - 1 for group in documents.values() for d in group),
        base_layer=base_layer,
        answer_starts={
            "base answers": [len(prompt) for prompt in answers.base.prompts],
            "candidate answers": [len(prompt) for prompt in answers.candidate.prompts],
        },
    )


def _aligned(context: Context, answers: BothAnswers, base_layer: int) -> Harvest:
    budget = context.inputs.recipe.tokens
    found = aligned_documents(context, answers, DOCUMENT_TOKENS)
    aligned = {
        name: within_pairs(group, int(SHARES[name] * budget)) for name, group in found.items()
    }
    everything = [document for group in aligned.values() for document in group]
    if not everything:
        raise InputsError(
            "recipe.corpus: no token of one model ends where one of the other does, so their "
            "states can't be compared; give a corpus that both tokenizers can read"
        )
    return Harvest(
        documents={name: [d.base for d in group] for name, group in aligned.items()},
        tokens=sum(len(document.pairs) for document in everything),
        base_layer=base_layer,
        aligned=aligned,
        aligned_share=aligned_share(everything),
    )


def token_weights(harvest: Harvest) -> Tensor | None:
    """How often each position is drawn in training [T], relative to the others; None for equally.

    An answer's beginning decides it, so the last positions before it and its first ones are drawn
    more often.
    """
    if harvest.answer_starts is None:
        return None
    weights = []
    for group, documents in harvest.documents.items():
        starts = harvest.answer_starts.get(group)
        for number, document in enumerate(documents):
            weight_T = torch.ones(len(document) - 1)
            if starts is not None:
                begin = max(starts[number] - BEFORE - 1, 0)
                weight_T[begin : starts[number] + AFTER - 1] = OPENING_WEIGHT
            weights.append(weight_T)
    return torch.cat(weights)


def within_budget(documents: list[Tokens], positions: int) -> list[Tokens]:
    """The first documents with at most `positions` positions in all; the last one is cut."""
    kept, left = [], positions
    for document in documents:
        cut = document[: left + 1]
        if len(cut) < 2:
            continue
        kept.append(cut)
        left -= len(cut) - 1
        if left <= 0:
            break
    return kept


def _corpus(context: Context) -> list[Tokens]:
    engine = context.models["base"]
    return encode_corpus(engine, context.corpora.texts, DOCUMENT_TOKENS)


def _states(
    context: Context, name: SideName, groups: dict[str, list[Tokens]], layer: int
) -> Activations:
    parts = [
        _group(context, name, group, documents, layer)
        for group, documents in groups.items()
        if documents
    ]
    offset, document_T = 0, []
    for part, documents in zip(parts, filter(None, groups.values()), strict=True):
        document_T.append(part.document_T + offset)
        offset += len(documents)
    return Activations(
        x_TD=torch.cat([part.x_TD for part in parts]),
        document_T=torch.cat(document_T),
        position_T=torch.cat([part.position_T for part in parts]),
        token_T=torch.cat([part.token_T for part in parts]),
    )


def _group(
    context: Context, name: SideName, group: str, documents: list[Tokens], layer: int
) -> Activations:
    # The whole content, because a configuration (such as rope_theta) changes the states too. The
    # dtype is the engine's own, and the code's digest covers it.
    made_of = [context.job.side(name).content_digest, documents, layer, stage_code("harvest")]
    return context.cache.fetch(
        digest_of(made_of),
        lambda: context.models[name].harvest(documents, layer, context.steps(f"{name}: {group}")),
    )
