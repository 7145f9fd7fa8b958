"""What a reviewer has to know of a comparison between two architectures or tokenizers."""

from alerts.wording import percent
from workers.verdicts.findings import Findings


def across_caveats(findings: Findings) -> list[str]:
    """One sentence per limit; none for two checkpoints of one architecture and tokenizer."""
    if findings.layer is None or findings.layer.form == "tied":
        return []
    caveats = [
        "The models differ in architecture or tokenizer. Each was probed in its own chat template, "
        "and a shift compares mean log-probabilities per token of different tokenizers.",
        "No state of one can be put into the other, so no ceiling was measured, and the layer was "
        "taken at the same part of both stacks.",
    ]
    harvest, screened = findings.harvest, findings.screened
    if harvest is not None and harvest.aligned_share is not None:
        caveats.append(
            f"Both models were read where their tokens end at the same place: "
            f"{percent(harvest.aligned_share)} of the places that could be paired."
        )
    if screened is not None:
        caveats.append(
            "There was too little text to map one model's states to the other's, so no feature was "
            "tried in the base."
            if screened.stitched is None
            else "In the base a feature is its image under a linear map, which explains "
            f"{percent(screened.stitched)} of the variance of the candidate's states."
        )
    return caveats
