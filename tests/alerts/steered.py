"""Made-up answers to questions."""

from alerts.question import BehaviourBySeed, SeedAgreement, SeedsTried, SteeredAnswers
from alerts.records.behaviour import SeedMediation


def steered(said: str) -> SteeredAnswers:
    """An answer in which every model says `said`, with its name before it."""
    return SteeredAnswers(
        base=f"base {said}",
        candidate=f"candidate {said}",
        candidate_ablated=f"ablated {said}",
        candidate_amplified=f"amplified {said}",
        gain=2.0,
        base_induced=None,
        strength=None,
        caveats=["No addition to the base is known that neutral text bears."],
    )


def seeds_tried() -> SeedsTried:
    """Two seeds of the check and a further one, whose best five cost too much."""
    return SeedsTried(
        seeds=[
            SeedAgreement(seed=0, similarity={}),
            SeedAgreement(seed=1, similarity={"candidate-10": 0.92, "candidate-17": 0.8}),
            SeedAgreement(seed=2, similarity={"candidate-10": 0.71, "candidate-17": 0.4}),
        ],
        n_known=2,
        similar=0.7,
        behaviours=[
            BehaviourBySeed(
                name="sycophancy",
                n_items=24,
                by_seed=[
                    SeedMediation(best=0.2, five=0.5, all=0.8, control_p95=0.1),
                    SeedMediation(best=0.3, five=0.4, all=0.9, control_p95=0.6),
                    SeedMediation(best=0.1, five=None, all=0.7, control_p95=None),
                ],
            )
        ],
    )
