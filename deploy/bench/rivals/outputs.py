"""Output-only diffing: what the two models answer to the same prompts, without their insides.

The published baseline (Kempf et al. 2026, arXiv 2602.10371) lets a language model write and judge
the differences. None can be asked offline, so plain statistics stand in: words, length, refusals.
"""

import numpy as np

from alerts.probes.refusal import refuses
from deploy.bench.rivals.log_odds import contrast
from deploy.bench.rivals.rival import Case, Look
from workers.stages.answers import Answers

NAMED = 12


class Outputs:
    """Score: the largest z of a word or pair of words that the candidate uses more.

    One-sided, because shorter answers have less of every common word.
    """

    name = "output-only diffing"
    stages = ("answers",)

    def look(self, case: Case) -> Look:
        decode = case.context.models["base"].decode
        base, candidate = (
            [decode(answer) for answer in own.answers]
            for own in (case.answers.base, case.answers.candidate)
        )
        found = contrast(base, candidate)
        beyond = sum(z > found.null_p95 for z in found.z)
        return Look(
            score=found.z[0] if found.z else 0.0,
            flagged=None,
            names=found.terms[:NAMED],
            figures={
                "p": found.p,
                "terms_beyond_null": float(beyond),
                "length_ratio": case.answers.candidate.mean_length
                / max(case.answers.base.mean_length, 1e-9),
                "length_z": _length_z(case.answers.base, case.answers.candidate),
                "refusal_rise": float(
                    np.mean([*map(refuses, candidate)]) - np.mean([*map(refuses, base)])
                ),
            },
        )


def _length_z(base: Answers, candidate: Answers) -> float:
    """Mean over its standard error of the paired difference in tokens; 0 when no length differs."""
    pairs = zip(base.answers, candidate.answers, strict=True)
    difference = np.array([len(new) - len(old) for old, new in pairs], dtype=np.float64)
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return float(difference.mean() / error) if error else 0.0
