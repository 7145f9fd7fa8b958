"""The templates of the page, and what happens to every value on its way into it.

All text is freed of control characters and escaped, since it may come from a hostile model; what is
None is shown as "not measured" wherever it stands.
"""

import math
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alerts import behaviour_in_words, seen_before_in_words, verdict_in_words, wording
from alerts.plain_text import clip, one_line, strip_controls
from alerts.records.feature import Feature, FeatureEffect


def difference(after: float | None, before: float | None) -> float | None:
    """`after` minus `before`, where both were measured."""
    return None if after is None or before is None else after - before


def _chief_effect(feature: Feature) -> FeatureEffect:
    """The effect that ablation shows most clearly; blank where nothing was steered."""
    blank = dict.fromkeys(FeatureEffect.model_fields) | {"behaviour": ""}
    ranked = sorted(feature.effects, key=_removal)
    return ranked[-1] if ranked else FeatureEffect.model_validate(blank)


def _removal(effect: FeatureEffect) -> float:
    return -math.inf if effect.ablation_removes is None else effect.ablation_removes


def _token_text(token: str) -> str:
    """A token without its leading space, white space made visible; empty for a lone space."""
    visible = strip_controls(token).replace("\n", "↵").replace("\t", "⇥") or "\ufffd"
    return visible.removeprefix(" ")


def _day(moment: float) -> str:
    """Seconds since the epoch as a date (UTC)."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d}"


def _finalize(value: Any) -> Any:
    """Every value on its way into the page, before it is escaped."""
    if value is None or (isinstance(value, str) and value == wording.NOT_MEASURED):
        return Markup(f'<span class="unmeasured">{wording.NOT_MEASURED}</span>')
    return strip_controls(value) if type(value) is str else value


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alerts.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = (
        seen_before_in_words.compared_with,
        seen_before_in_words.likeness,
        seen_before_in_words.seen_before,
        behaviour_in_words.calibrated_threshold,
        verdict_in_words.calibration_sentence,
        behaviour_in_words.conformal,
        wording.duration,
        verdict_in_words.finding,
        verdict_in_words.headline,
        wording.number,
        wording.percent,
        wording.points,
        wording.probability,
        wording.readable,
        verdict_in_words.recommended_action,
        wording.short_digest,
        wording.signed,
        wording.small,
        verdict_in_words.trust_in_explanation,
        verdict_in_words.verdict_word,
    )
    environment.filters |= {word.__name__: word for word in words}
    environment.filters |= {"clip": clip, "one_line": one_line, "token_text": _token_text}
    environment.filters["day"] = _day
    environment.globals |= {
        "cause_sentences": behaviour_in_words.cause_sentences,
        "chief_effect": _chief_effect,
        "difference": difference,
        "interval": wording.interval,
        "one_line": one_line,
        "shift_sentence": behaviour_in_words.shift_sentence,
        "zip": zip,
        # A variable, because the template compiler writes a constant without _finalize.
        "unmeasured": None,
    }
    return environment


TEMPLATES = _environment()
