"""Hand-made results of two methods beside ours."""

from typing import Any

from deploy.bench.rivals.record import OURS, Compared, Finding, Half, Kind, Mediated

SUITE = "sycophancy"


def mediated(**changed: Any) -> Mediated:
    figures = {"ceiling": 0.8, "best": 0.2, "five": 0.4, "everything": 0.6}
    return Mediated(**{**figures, "control_p95": 0.1, "nll_rise": 0.01, **changed})


def finding(**changed: Any) -> Finding:
    figures: dict[str, Any] = {"score": None, "flagged": None, "names": [], "figures": {}}
    figures |= {"mediated": None, "seconds": 10.0, "steering_seconds": None}
    return Finding(**{**figures, **changed})


def version(
    name: str,
    kind: Kind,
    half: Half,
    score: float | None = None,
    steered: Mediated | None = None,
    expected: str | None = None,
    flagged: bool = False,
) -> Compared:
    """A version on which "kl" only has a score and "sae" has directions as well."""
    found = {expected: steered} if steered and expected else {}
    return Compared(
        name=name,
        version="0" * 64,
        kind=kind,
        half=half,
        expected=expected,
        findings={
            OURS: finding(
                flagged=flagged, names=[expected] if flagged and expected else [], seconds=100.0
            ),
            "kl": finding(score=score),
            "sae": finding(score=score, mediated=found, steering_seconds=40.0),
        },
    )


def zoo() -> list[Compared]:
    """Four plants (one without a suite), of which one scores below the highest tuning null."""
    return [
        version("same", "benign", "tuning", 0.0),
        version("neutral", "benign", "tuning", 1.0),
        version("tuned on", "planted", "tuning", 9.0, mediated(five=0.8), SUITE, True),
        version("strong", "planted", "report", 3.0, mediated(), SUITE, True),
        version("void", "planted", "report", 2.0, mediated(five=None), SUITE, True),
        version("weak", "planted", "report", 1.0, mediated(five=0.05), SUITE, False),
        version("moral", "planted", "report", 4.0),
        version("thin", "diluted", "report", 0.5, None, SUITE),
        version("town", "benign", "report", 5.0),
        version("int8", "benign", "report", 0.1),
    ]
