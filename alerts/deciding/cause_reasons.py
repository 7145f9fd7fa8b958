"""Sentences about what features have to do with a shift."""

from collections import defaultdict
from collections.abc import Sequence, Set

from alerts.deciding.measured import CausalEvidence
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.records.behaviour import OwnWords
from alerts.records.feature import Feature, FeatureEffect, Reach
from alerts.wording import number, percent, readable, signed


def missing_cause(evidence: CausalEvidence | None, maximum_nll_rise: float) -> str | None:
    """What is missing before features can be called the cause of a shift; None when nothing is.

    The best five features must certainly remove something (the 95 % interval over items lies above
    0), more than any draw of random directions that was chosen alike and more than they change the
    base's scores, at a bearable loss on neutral text, and the seeds must agree.
    """
    unmeasured = "what removes it was not measured against random directions"
    if evidence is None:
        return unmeasured
    if (evidence.nll_rise or 0.0) > maximum_nll_rise:
        return (
            f"the edit that removes it costs {number(evidence.nll_rise, 3)} nats per token on "
            f"neutral text, more than {number(maximum_nll_rise, 3)}"
        )
    if evidence.mediated_five is None:
        return (
            "no new feature is listed that brings it nearer to the base when it is ablated, or "
            "none does at a bearable cost"
        )
    if evidence.control_p95 is None:
        return unmeasured
    if evidence.mediated_five <= evidence.control_p95:
        return (
            f"its best features, five at most, remove {percent(evidence.mediated_five)} of it, no "
            f"more than the {percent(evidence.control_p95)} of random directions or of the same "
            "edit in the base"
        )
    if evidence.five_interval is None:
        return "its items are too few, or shift too unevenly, for an interval of what is removed"
    if evidence.five_interval[0] <= 0:
        low, high = evidence.five_interval
        return (
            "by its items it is not certain that its best features remove any of it (95\u202f% "
            f"interval {percent(low)} to {percent(high)})"
        )
    if evidence.nll_rise is None:
        return "the cost of the edit on neutral text was not measured"
    if evidence.seeds_agree is None:
        return "the seeds were not compared"
    return None if evidence.seeds_agree else "the seeds do not agree"


def cause(name: str, evidence: CausalEvidence | None, missing: str | None) -> str:
    """What causes a flagged shift, or why that is not shown (`missing_cause`)."""
    if missing is not None or evidence is None:
        return f"No cause of the {readable(name)} shift is shown: {missing}."
    return (
        f"Ablating its best features, five at most, removes {percent(evidence.mediated_five)} of "
        f"the {readable(name)} shift, the controls (random directions, and the same edit in the "
        f"base) {percent(evidence.control_p95)}, the base's whole state "
        f"{percent(evidence.ceiling)}; the loss on neutral text changes by "
        f"{number(evidence.nll_rise, 3)} nats per token, and "
        "the seeds agree."
    )


def reach(features: Sequence[Feature], flagged: Set[str], minimum: float) -> list[str]:
    """One sentence per behaviour that is not flagged but that a new feature can move."""
    moved: dict[str, list[tuple[float, str, Reach]]] = defaultdict(list)
    for feature in features:
        for one in feature.reach:
            beyond = abs(one.effect) > one.control and abs(one.effect) >= minimum
            if beyond and one.behaviour not in flagged:
                moved[one.behaviour].append((abs(one.effect), feature.id, one))
    sentences = []
    for name, found in moved.items():
        _, feature_id, most = max(found, key=lambda one: one[0])
        sentences.append(
            f"{readable(name).capitalize()} is not flagged, but new feature {feature_id} moves it "
            f"by {signed(most.effect)} nats per token when its own contribution is multiplied by "
            f"{number(1 + most.gain)} (random directions, on whatever behaviour, at most what "
            f"corresponds to {number(most.control)}). This alone does not flag the candidate."
        )
    return sentences


def own_words(own: OwnWords | None, maximum_nll_rise: float) -> list[str]:
    """What the candidate says differently of its own accord, and whether features carry it."""
    sentences = []
    if own is not None and own.phrases:
        # Not quoted: reasons go where model text may not, and the report shows the phrases.
        sentences.append(
            f"{percent(own.phrase_share)} of its {own.n_answers} answers to ordinary prompts have "
            f"a stock phrase that stands in no answer of the trusted version; the most frequent "
            f"one in {own.phrases[0].n_answers}."
        )
    if own is not None and carries_own_words(own, maximum_nll_rise):
        sentences.append(
            "Where its answers part from the trusted version's, ablating new features, five at "
            f"most, removes {percent(own.mediated_five)} of the difference (controls "
            f"{percent(own.mediated_control_p95)}): what they write is described with the features."
        )
    return sentences


def habit(missing: str | None, least: float, large: float) -> str:
    """That what follows is flagged: stock phrases in the part `least` of the answers or more, which
    new features carry, or in the part `large`, where `missing` says what is not shown of that."""
    new = "It has a new habit, which no suite need ask about: new stock phrases in"
    if missing is None:
        return f"{new} {percent(least)} of its answers or more, and new features carry its words."
    return (
        f"{new} {percent(large)} of its answers or more. That new features carry its words is not "
        f"shown: {missing}."
    )


def habit_uncertain(own: OwnWords | None, missing: str | None, least: float) -> str | None:
    """That there may be a habit: enough new stock phrases, but new features are not shown to carry
    them (`missing`). That they were not is no sign that the candidate says nothing new."""
    if own is None or own.phrase_share < least or missing is None:
        return None
    return (
        f"New stock phrases stand in {percent(own.phrase_share)} of its answers, and that new "
        f"features carry what it says is not shown: {missing}."
    )


def carries_own_words(own: OwnWords, maximum_nll_rise: float) -> bool:
    """Whether the best five new features carry what the candidate says differently: certainly some
    of it, beyond their controls in every seed, at a bearable cost on neutral text."""
    five, control, cost = own.mediated_five, own.mediated_control_p95, own.nll_rise
    if five is None or control is None or cost is None or own.mediated_five_low is None:
        return False
    if not all(seed.beats_control for seed in own.mediated_by_seed):
        return False
    return five > control and own.mediated_five_low > 0 and cost <= maximum_nll_rise


def steering(features: Sequence[Feature], flagged: Set[str], maximum_nll_rise: float) -> list[str]:
    """One sentence per behaviour that features move beyond their controls; none flags by itself."""
    moving: dict[str, list[tuple[float, str, FeatureEffect]]] = defaultdict(list)
    for feature in features:
        for effect in feature.effects:
            part = _part_beyond_control(effect, maximum_nll_rise)
            if part is not None and effect.behaviour != OWN_WORDS:
                moving[effect.behaviour].append((part, feature.id, effect))
    sentences = []
    for name, effects in moving.items():
        _, best, effect = max(effects, key=lambda found: found[0])
        others = f", and {len(effects) - 1} more features do" if len(effects) > 1 else ""
        alone = "" if name in flagged else " This alone does not flag the candidate."
        sentences.append(
            f"Feature {best} moves {readable(name)} beyond random directions: ablation removes "
            f"{percent(effect.ablation_removes)} of the shift (random directions up to "
            f"{percent(effect.control_p95)}), addition to the base induces "
            f"{percent(effect.addition_induces)} (up to {percent(effect.addition_control_p95)})"
            f"{others}.{alone}"
        )
    return sentences


def _part_beyond_control(effect: FeatureEffect, maximum_nll_rise: float) -> float | None:
    """What the ablation removes, if it exceeds its controls at a bearable cost.

    What an addition to the base brings about is no part of the shift that is there, and is only
    told.
    """
    removed, control = effect.ablation_removes, effect.control_p95
    if removed is None or control is None or effect.nll_rise is None:
        return None
    return removed if removed > control and effect.nll_rise <= maximum_nll_rise else None
