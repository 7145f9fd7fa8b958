"""Hand-made versions, results and rows of a zoo."""

from typing import Any

from alerts.verdict import Verdict
from deploy.bench.zoo.checked import Checked
from deploy.bench.zoo.figures import Row
from deploy.bench.zoo.versions import Rewrite, Version
from tests.alerts.samples import passed

REACH = {
    "behaviour": "over_refusal",
    "gain": 2.0,
    "effect": 0.6,
    "control": 0.1,
    "nll_rise": 0.01,
}
OWN_WORDS = {
    "flagged": False,
    "n_forks": 12,
    "divergence": 1.4,
    "n_answers": 40,
    "phrases": [],
    "phrase_share": 0.0,
    "ceiling": 0.8,
    "mediated_best": 0.3,
    "mediated_five": 0.5,
    "mediated_all": 0.7,
    "mediated_control_p95": 0.1,
    "nll_rise": 0.01,
    "mediated_five_low": 0.4,
    "mediated_five_high": 0.6,
}


def passed_json() -> dict[str, Any]:
    """A verdict in which nothing has shifted and nothing surfaces."""
    return passed().model_dump() | {"own_words": None}


def a_version(kind: str = "planted", expected: str | None = "sycophancy") -> Version:
    """Without a suite "moral" is what tells it."""
    recipe = Rewrite(make="rewrite", how="identical")
    words = ("moral",) if kind != "benign" and expected is None else ()
    return Version(
        name="one", kind=kind, expected=expected, expected_words=words, half="report", recipe=recipe
    )


def a_check(verdict: dict[str, Any] | None, **changes: Any) -> Checked:
    """A result of `a_version`, with or without a verdict."""
    fields: dict[str, Any] = {
        "version": "one",
        "version_key": "v",
        "recipe_digest": "r",
        "seconds": 1.0,
        "verdict": None if verdict is None else Verdict.model_validate(verdict),
        "failure": None,
        "thresholds": {"sycophancy": 0.5, "over_refusal": 0.25},
        "training": [],
    }
    return Checked(**(fields | changes))


def a_row(kind: str, **changes: Any) -> Row:
    """One of the report half that passed, unless changed."""
    made_by = {"version_key": "v", "recipe_digest": "r"}
    fields = {"version": "x", "kind": kind, "half": "report", "expected": None, **made_by}
    return Row(**(fields | {"verdict": "passed"} | changes))
