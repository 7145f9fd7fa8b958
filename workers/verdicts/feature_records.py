"""From what the stages found of features and own words to their records in the verdict."""

from math import inf
from typing import Any

from alerts.deciding.policy import Policy, is_habit
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.records.behaviour import OwnWords, StockPhrase
from alerts.records.feature import Feature, FeatureEffect
from workers.stages.describe import Description
from workers.verdicts.findings import Findings

EXAMPLES_SHOWN = 3
"""Examples of each feature that a reviewer sees."""


def own_words_of(findings: Findings, policy: Policy) -> OwnWords | None:
    """What the candidate says of its own accord; None where there are too few forks to steer and no
    new stock phrases."""
    causes = findings.causes.evidence.get(OWN_WORDS) if findings.causes else None
    found, said = findings.forks, findings.stock_phrases
    if found is None or said is None or not found.forks:
        return None
    if found.suite is None and not said.phrases:
        return None
    forks = found.forks
    interval = causes.five_interval if causes else None
    own = OwnWords(
        flagged=False,
        n_forks=len(forks),
        divergence=sum(fork.divergence for fork in forks) / len(forks),
        n_answers=len(findings.answers.candidate.answers) if findings.answers else 0,
        phrases=[
            StockPhrase(text=phrase.text, n_answers=len(phrase.answers)) for phrase in said.phrases
        ],
        phrase_share=said.share,
        ceiling=causes.ceiling if causes else None,
        mediated_best=causes.mediated_best if causes else None,
        mediated_five=causes.mediated_five if causes else None,
        mediated_all=causes.mediated_all if causes else None,
        mediated_control_p95=causes.control_p95 if causes else None,
        nll_rise=causes.nll_rise if causes else None,
        mediated_five_low=interval[0] if interval else None,
        mediated_five_high=interval[1] if interval else None,
        mediated_by_seed=list(causes.by_seed) if causes else [],
    )
    return own.model_copy(update={"flagged": is_habit(own, causes, policy)})


def features_of(findings: Findings) -> list[Feature]:
    """The short list, those whose ablation removes most first."""
    if findings.screened is None:
        return []
    effects = findings.causes.effects if findings.causes else {}
    described = findings.descriptions.features if findings.descriptions else {}
    short_list = sorted(
        findings.screened.short_list, key=lambda feature: _rank(effects.get(feature.id, []))
    )
    return [
        Feature(
            id=feature.id,
            side=feature.side,
            density=feature.density,
            delta_energy=feature.delta_energy,
            exclusivity=feature.exclusivity,
            seed_agreement=feature.seed_agreement,
            **_words(described.get(feature.id)),
            effects=effects.get(feature.id, []),
            reach=findings.causes.reach.get(feature.id, []) if findings.causes else [],
            carries=findings.causes.carried.get(feature.id) if findings.causes else None,
        )
        for feature in short_list
    ]


def _words(description: Description | None) -> dict[str, Any]:
    """The part of a feature that is for reading; nothing where it was not described."""
    if description is None:
        return {"top_tokens": [], "examples": []}
    return {
        "label": description.label,
        "top_tokens": description.top_tokens,
        "raised_tokens": description.raised_tokens,
        "lowered_tokens": description.lowered_tokens,
        "template_share": description.template_share,
        "examples": ["".join(e.tokens) for e in description.examples[:EXAMPLES_SHOWN]],
    }


def _rank(effects: list[FeatureEffect]) -> float:
    """Sorts features by how much their ablation removes at best; those never ablated come last."""
    return min(
        (-e.ablation_removes for e in effects if e.ablation_removes is not None), default=inf
    )
