"""A verdict as SARIF 2.1.0, for code scanning: one rule per behaviour, one result per finding.

The fingerprint of a result is that of its alert and the rule, so a check that is run again adds
nothing. A verdict that is undecided is a result too: no finding must not look like a pass.
"""

import json
import re
from importlib import metadata
from typing import Any
from urllib.parse import quote

from alerts.alert import fingerprint
from alerts.plain_text import one_line
from alerts.records.behaviour import Behaviour
from alerts.verdict import Verdict
from alerts.verdict_in_words import headline
from alerts.wording import interval, number, readable, signed

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:")
UNDECIDED, OWN_WORDS, FEATURES = "undecided", "own_words", "features"


def to_sarif(verdict: Verdict) -> str:
    """The verdict as one run. Ends with a newline."""
    results = [_result(verdict, rule, text) for rule, text in _findings(verdict)]
    rules = [behaviour.name for behaviour in verdict.behaviours]
    rules += [rule for rule in (OWN_WORDS, FEATURES, UNDECIDED) if rule not in rules]
    run = {
        "tool": {
            "driver": {
                "name": "latentwatch",
                "version": metadata.version("latentwatch"),
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "invocations": [{"executionSuccessful": verdict.verdict != "undecided"}],
        "results": results,
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _findings(verdict: Verdict) -> list[tuple[str, str]]:
    """Rule and message of every finding; a flagged verdict has at least one."""
    found = [(b.name, _shifted(b)) for b in verdict.behaviours if b.flagged]
    if verdict.own_words is not None and verdict.own_words.flagged:
        found.append((OWN_WORDS, "The candidate has a new habit of speech."))
    if verdict.verdict == "undecided":
        found.append((UNDECIDED, f"{headline(verdict)} {_reasons(verdict)}"))
    elif verdict.verdict == "flagged" and not found:
        found.append((FEATURES, f"{headline(verdict)} {_reasons(verdict)}"))
    return found


def _shifted(behaviour: Behaviour) -> str:
    return (
        f"{readable(behaviour.name)} has shifted by {signed(behaviour.shift)} nats per token "
        f"({interval(behaviour.ci_low, behaviour.ci_high)}); its noise floor is "
        f"{number(behaviour.noise_floor)}."
    )


def _reasons(verdict: Verdict) -> str:
    return " ".join(verdict.reasons)


def _result(verdict: Verdict, rule: str, text: str) -> dict[str, Any]:
    alert = fingerprint(verdict.line or "", verdict.base.digest, verdict.candidate.digest)
    locator = one_line(verdict.candidate.locator)
    place = {
        "physicalLocation": {
            "artifactLocation": {"uri": _relative(locator)},
            "region": {"startLine": 1, "endLine": 1},  # a finding is about the whole version
        },
        "logicalLocations": [{"fullyQualifiedName": locator, "kind": "module"}],
    }
    same = f"{alert}:{rule}"
    return {
        "ruleId": rule,
        "level": "error" if verdict.severity == "critical" else "warning",
        "message": {"text": one_line(text)},
        "locations": [place],
        # GitHub heeds the second alone, and would make one of the file, which it hasn't got.
        "partialFingerprints": {"latentwatch/v1": same, "primaryLocationLineHash": same},
    }


def _rule(rule: str) -> dict[str, Any]:
    texts = {
        UNDECIDED: "It could not be checked, which is never a pass.",
        OWN_WORDS: "What the model says of its own accord has changed.",
        FEATURES: "A new feature moves a behaviour when it is steered.",
    }
    text = texts.get(rule, f"The model's {readable(rule)} has shifted against its base.")
    return {"id": rule, "shortDescription": {"text": text}}


def _relative(locator: str) -> str:
    """The locator as a path below the repository, though it lies elsewhere: GitHub shows no finding
    at a place that has a scheme or begins with a slash."""
    path = _SCHEME.sub("", locator)
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return quote("/".join(parts) or "checkpoint", safe="/@")
