"""The sections of an alert: versions, behaviours, features, answers and lists, as Slack blocks.

Every foreign word passes through `slack_text`, and model text is never formatted text.
"""

from collections.abc import Sequence

from slack_sdk.models.blocks import Block, MarkdownTextObject, PlainTextObject, SectionBlock

from alerts import wording
from alerts.behaviour_in_words import conformal, seeds_divided, times_noise
from alerts.evidence import Answer, DoseResponse, Evidence
from alerts.figures_in_words import random_directions
from alerts.records.behaviour import Behaviour
from alerts.records.feature import Feature, FeatureEffect
from alerts.routing import Examples
from alerts.seen_before_in_words import seen_before
from alerts.slack.text import code, literal
from alerts.verdict import Checkpoint, Verdict
from alerts.verdict_in_words import UNNAMED, Names, by_weight

_TOP = 3
_LINES = 4
_ANSWER = 200


def versions(verdict: Verdict, names: Names = UNNAMED) -> Block:
    """Which versions were compared, by which recipe, and how long it took."""
    total = wording.duration(sum(verdict.timings.values())) if verdict.timings else None
    layer = wording.NOT_MEASURED if verdict.recipe.layer is None else verdict.recipe.layer
    rows = {
        "Line": literal(verdict.line or "none", 100),
        "Recipe": f"{code(wording.short_digest(verdict.recipe.digest), 20)}, layer {layer}",
        "Candidate": _version(verdict.candidate, names.candidate),
        "Base": _version(verdict.base, names.base),
        "Check took": total or wording.NOT_MEASURED,
    }
    return SectionBlock(fields=[mrkdwn(f"*{name}*\n{value}") for name, value in rows.items()])


def _version(one: Checkpoint, name: str | None) -> str:
    called = [] if name is None else [code(name, 60)]
    digest, locator = code(wording.short_digest(one.digest), 20), code(one.locator, 200)
    return " ".join([*called, digest, locator])


def behaviours(verdict: Verdict) -> list[Block]:
    """The behaviours that moved most, with what removes the flagged ones."""
    ordered = by_weight(verdict.behaviours)
    lines = [_behaviour(b) for b in ordered[:_TOP]]
    if len(ordered) > _TOP:
        lines.append(f"And {len(ordered) - _TOP} more in the report.")
    return [words("\n".join(lines))] if lines else []


def _behaviour(b: Behaviour) -> str:
    name = f"*{literal(wording.readable(b.name), 60)}*"
    if b.shift is None:
        return f"{name} {wording.NOT_MEASURED}"
    arrow = "▲" if b.shift > 0 else "▼"
    nulls = "" if b.conformal_p is None else f", uncorrected conformal p {conformal(b)}"
    divided = f" (less than its features {seeds_divided(b)})" if seeds_divided(b) else ""
    removed = (
        f"\n    removed by its best features, five at most, {wording.percent(b.mediated_five)}"
        f"{_over_items(b)}, by "
        f"controls up to {wording.percent(b.mediated_control_p95)}{divided}, by the base's whole "
        f"state {wording.percent(b.ceiling)}"
    )
    return (
        f"{name} {arrow if b.flagged else '·'} {wording.signed(b.shift)} "
        f"[{wording.interval(b.ci_low, b.ci_high)}], {wording.number(b.base_score)} → "
        f"{wording.number(b.candidate_score)}, n = {b.n_scored}, {times_noise(b)}, "
        f"{wording.p_value(b.p_corrected)}{nulls}{removed if b.flagged else ''}"
    )


def _over_items(b: Behaviour) -> str:
    if b.mediated_five_low is None or b.mediated_five_high is None:
        return ""
    low, high = wording.percent(b.mediated_five_low), wording.percent(b.mediated_five_high)
    return f" [{low} to {high}, n = {b.n_steered}]"


def features(verdict: Verdict, evidence: Evidence, examples: Examples) -> list[Block]:
    """The first features, each with what steering it does; labels and tokens are words that a model
    writes and reads, and what a feature carries are pieces of answers."""
    if not verdict.features:
        return []
    doses = {dose.feature: dose for dose in reversed(evidence.dose_responses)}
    limit = evidence.maximum_nll_rise
    lines = [_feature(f, doses.get(f.id), limit, examples) for f in verdict.features[:_TOP]]
    if len(verdict.features) > _TOP:
        lines.append(f"And {len(verdict.features) - _TOP} more in the report.")
    return [words("*Features*\n" + "\n".join(lines))]


def _feature(
    feature: Feature, dose: DoseResponse | None, limit: float | None, examples: Examples
) -> str:
    facts = [
        f"{code(feature.id, 40)} {'new' if feature.side == 'candidate' else 'lost'}",
        _carries(feature) if examples == "full" else "",
        _about(feature) if examples != "none" else "",
        _seen_before(feature),
        *map(_effect, feature.effects[:1]),
        f"active on {wording.percent(feature.density, 1)} of tokens",
        f"exclusivity {wording.number(feature.exclusivity)}",
        _dose(dose, limit) if dose else "",
    ]
    return "• " + "; ".join(filter(None, facts))


def _carries(feature: Feature) -> str:
    return f"carries {code(feature.carries[0].candidate, 80)}" if feature.carries else ""


def _about(feature: Feature) -> str:
    if feature.label:
        return code(feature.label, 240)
    tokens = " ".join(code(token, 24) for token in feature.top_tokens[:4])
    return f"top tokens {tokens}" if tokens else ""


def _seen_before(feature: Feature) -> str:
    versions = seen_before(feature, lambda name: literal(name, 40))
    return f"seen before in {versions}" if versions else ""


def _effect(effect: FeatureEffect) -> str:
    return (
        f"removing it takes {wording.percent(effect.ablation_removes)} off "
        f"{literal(wording.readable(effect.behaviour), 40)} (random directions up to "
        f"{wording.percent(effect.control_p95)}), adding it to the base brings "
        f"{wording.percent(effect.addition_induces)} (up to "
        f"{wording.percent(effect.addition_control_p95)})"
    )


def _dose(dose: DoseResponse, limit: float | None) -> str:
    """The largest doses, down and up, that neutral text bears; others say nothing."""
    name = literal(wording.readable(dose.behaviour), 40)
    if limit is None:
        return f"steering {name}: what neutral text bears was {wording.NOT_MEASURED}"
    borne = [
        point
        for point in zip(
            dose.strengths, dose.effects, dose.control_effects, dose.nll_rises, strict=True
        )
        if point[0] and point[1] is not None and point[3] is not None and point[3] <= limit
    ]
    if not borne:
        return f"steering {name}: no dose costs less on neutral text than {limit:g} nats per token"
    ends = {min(borne, key=lambda point: point[0])[0], max(borne, key=lambda point: point[0])[0]}
    points = [
        f"{wording.signed(strength, 1)} × its own part → {wording.signed(effect)} nats per token"
        f" ({random_directions(controls)})"
        for strength, effect, controls, _ in sorted(borne, key=lambda point: point[0])
        if strength in ends
    ]
    return f"steering {name}: {', '.join(points)}"


def answers(verdict: Verdict, evidence: Evidence, examples: Examples) -> list[Block]:
    """One prompt with the answers of both models, of a flagged behaviour where there is one."""
    flagged = {b.name for b in verdict.behaviours if b.flagged}
    ordered = sorted(evidence.answers, key=lambda answer: answer.behaviour not in flagged)
    if not ordered or examples == "none":
        return []
    title = words("*The same prompt, answered by each*")
    return [title, _answer(ordered[0], redacted=examples == "redacted")]


def _answer(answer: Answer, redacted: bool) -> Block:
    rows = {
        "Base": answer.base,
        "Candidate": answer.candidate,
        "Candidate without the features": answer.candidate_ablated,
    }
    lines = [f"Prompt: {literal(answer.prompt, _ANSWER)}"]
    for name, said in rows.items():
        if said is not None:
            length = wording.count(len(said.split()), "word")
            lines.append(f"{name}: {f'[{length}]' if redacted else literal(said, _ANSWER)}")
    return SectionBlock(text=PlainTextObject(text="\n".join(lines), emoji=False))


def listing(title: str, lines: Sequence[str]) -> list[Block]:
    """Sentences under a title, as literal text."""
    if not lines:
        return []
    shown = [f"• {literal(line, 320)}" for line in lines[:_LINES]]
    if len(lines) > _LINES:
        shown.append(f"And {len(lines) - _LINES} more in the report.")
    text = "\n".join([f"{title}:", *shown])
    return [SectionBlock(text=PlainTextObject(text=text, emoji=False))]


def words(text: str) -> Block:
    """Text with formatting; foreign text in it must have been made literal."""
    return SectionBlock(text=mrkdwn(text))


def mrkdwn(text: str) -> MarkdownTextObject:
    """Formatted text in which Slack itself finds no links, channels or mentions."""
    return MarkdownTextObject(text=text, verbatim=True)
