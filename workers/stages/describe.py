"""What each short-listed feature reads and writes, in both models, and a plain label for it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from alerts.causes.feature_label import FeatureFacts, feature_label
from alerts.evidence import HighlightedExample
from dfc.crosscoder.form import form_of
from dfc.engines.engine import Activations, Engine
from dfc.screening import describe
from dfc.screening.contrast import Contrast, contrastive_tokens
from dfc.screening.firing import favourite_tokens, firing, strength_elsewhere
from dfc.screening.places import Places, Reading, find_places, firing_profile
from dfc.screening.silent_texts import silent_texts
from workers.context import Context
from workers.job import SideName
from workers.keeping.artifact import Artifact, Result
from workers.stages.answers import Answers, BothAnswers, Tokens
from workers.stages.harvest import Harvest, PairedStates
from workers.stages.screen import Banks, Screened, ScreenedFeature

TOKENS = 8
"""Of each list."""
EXAMPLES = 10
"""Documents shown, the strongest."""
TEST_TEXTS = 20
"""Further documents on which the feature fires, and as many on which it is silent."""
SIDES: tuple[SideName, ...] = ("candidate", "base")
READ_SHARE = 0.1
"""Part of a feature's activation that falls on a token which is named as one that it reads."""


class Description(Result):
    """One feature, described without asking any other model."""

    label: str
    top_tokens: list[str]
    """By the logit lens."""
    raised_tokens: list[str] | None
    lowered_tokens: list[str] | None
    """By the contrast of the two models where it fires; None where token ids differ."""
    template_share: float | None
    """Part of its activation that falls on tokens of the chat template."""
    elsewhere: float | None
    """How strongly it fires in the other model, as a part of how strongly in its own."""
    examples: list[HighlightedExample]
    firing_texts: list[str]
    """The next strongest, none of them among the examples."""
    near_texts: list[str]
    """Texts on which it is silent, those most like the examples."""
    random_texts: list[str]


class Descriptions(Result):
    """By the id of the feature."""

    features: dict[str, Description]


class _Firing(NamedTuple):
    """A short-listed feature with its activations [T]."""

    feature: ScreenedFeature
    activations: Activations
    """Those of its own model."""
    documents: list[Tokens]
    """As its own model reads them."""
    own_T: Tensor
    other_T: Tensor | None
    """In the other model; None where that has another residual space."""


def describe_features(
    context: Context,
    answers: BothAnswers,
    harvest: Harvest,
    screened: Screened,
    banks: Banks,
    states: Callable[[], PairedStates],
) -> Artifact[Descriptions]:
    """Describe the features of the short list. Each model reads a few documents to its end."""

    def compute(_: Path) -> Descriptions:
        base, candidate = context.models["base"], context.models["candidate"]
        same_space = form_of(base.info, candidate.info) == "tied"
        found = _firing(screened, banks, harvest, states(), same_space)
        contrasts: list[Contrast | None] = [None] * len(found)
        places: Places | None = None
        if found and same_space:
            readings = _readings(answers, harvest, context.inputs.recipe.answer_tokens)
            places = find_places(readings, found[0].activations)
            contrasts = [
                *contrastive_tokens(
                    base,
                    candidate,
                    [one.own_T for one in found],
                    found[0].activations,
                    places.in_template(),
                    [reading.tokens for reading in readings],
                    TOKENS,
                )
            ]
        written = _written(context, found, banks)
        features = {}
        for done, (one, contrast) in enumerate(zip(found, contrasts, strict=True), start=1):
            engine, name = context.models[one.feature.side], one.feature.id
            features[name] = _description(one, contrast, written[name], places, engine)
            context.progress.step("features", done, len(found))
        return Descriptions(features=features)

    return context.artifact("describe", Descriptions, compute)


def _firing(
    screened: Screened, banks: Banks, harvest: Harvest, pair: PairedStates, same_space: bool
) -> list[_Firing]:
    found = []
    sides: list[tuple[SideName, Activations, Activations]] = [
        ("candidate", pair.candidate, pair.base),
        ("base", pair.base, pair.candidate),
    ]
    for side, own, other in sides:
        features = [feature for feature in screened.short_list if feature.side == side]
        rows, bank = [feature.row for feature in features], banks.bank(side)
        own_TR = firing(bank, rows, own.x_TD)
        other_TR = firing(bank, rows, other.x_TD) if same_space else None
        documents = [tokens for group in harvest.read_by(side).values() for tokens in group]
        for r, feature in enumerate(features):
            other_T = None if other_TR is None else other_TR[:, r]
            found.append(_Firing(feature, own, documents, own_TR[:, r], other_T))
    return found


def _readings(answers: BothAnswers, harvest: Harvest, longest_answer: int) -> list[Reading]:
    """The documents as they were read, in the order of the harvest."""
    readings = [Reading(tokens) for tokens in harvest.documents["corpus"]]
    sides: list[tuple[SideName, Answers]] = [
        ("base", answers.base),
        ("candidate", answers.candidate),
    ]
    for side, said in sides:
        documents = harvest.documents[f"{side} answers"]
        # The harvest leaves out nothing but what has no second token, and cuts the last one.
        whole = [
            pair for pair in zip(said.prompts, said.answers, strict=True) if len(sum(pair, ())) > 1
        ]
        for tokens, (prompt, answer) in zip(documents, whole, strict=False):
            finished = len(answer) < longest_answer and len(tokens) == len(prompt) + len(answer)
            readings.append(Reading(tokens, min(len(prompt), len(tokens)), side, finished))
    return readings


def _written(context: Context, found: list[_Firing], banks: Banks) -> dict[str, list[str]]:
    """By the logit lens."""
    written: dict[str, list[str]] = {}
    for side in SIDES:
        features = [one.feature for one in found if one.feature.side == side]
        if features:
            decoder_RD = banks.bank(side).decoder_KD[[feature.row for feature in features]]
            tokens = describe.logit_lens(context.models[side], decoder_RD, TOKENS)
            written |= {f.id: row for f, row in zip(features, tokens, strict=True)}
    return written


def _description(
    one: _Firing,
    contrast: Contrast | None,
    written: list[str],
    places: Places | None,
    engine: Engine,
) -> Description:
    f_T, activations, documents = one.own_T, one.activations, one.documents
    windows = describe.top_windows(f_T, activations, documents, EXAMPLES + TEST_TEXTS)
    shown = windows[:EXAMPLES]
    examples = [describe.example(window, f_T, one.other_T, engine.decode) for window in shown]
    tokens = [window.tokens for window in shown]
    silent = silent_texts(f_T, activations, documents, tokens, TEST_TEXTS // 2)
    read = favourite_tokens(f_T, activations.token_T, READ_SHARE, 3)
    facts = FeatureFacts(
        side=one.feature.side,
        raised=contrast.raised if contrast else None,
        lowered=contrast.lowered if contrast else None,
        written=written,
        read=[engine.decode([token]) for token, _ in read],
        profile=firing_profile(f_T, places) if places else None,
        elsewhere=None if one.other_T is None else strength_elsewhere(f_T, one.other_T),
    )
    return Description(
        label=feature_label(facts),
        top_tokens=written,
        raised_tokens=contrast.raised if contrast else None,
        lowered_tokens=contrast.lowered if contrast else None,
        template_share=facts.profile.template_share if facts.profile else None,
        elsewhere=facts.elsewhere,
        examples=[
            HighlightedExample(tokens=e.pieces, activations=e.activations, other=e.other)
            for e in examples
        ],
        firing_texts=[engine.decode(window.tokens) for window in windows[EXAMPLES:]],
        near_texts=[engine.decode(tokens) for tokens in silent.near],
        random_texts=[engine.decode(tokens) for tokens in silent.random],
    )
