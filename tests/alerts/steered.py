"""Made-up answers to a question about a feature."""

from alerts.question import SteeredAnswers


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
