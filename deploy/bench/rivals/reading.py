"""What a reader is shown of directions: the tokens that the strongest of them write."""

from torch import Tensor

from deploy.bench.rivals.rival import Case
from dfc.screening.describe import logit_lens

SHOWN_DIRECTIONS, SHOWN_TOKENS = 3, 8


def tokens_of(case: Case, directions_KD: Tensor) -> list[str]:
    """Tokens that the first directions write in the candidate, in the order of the directions."""
    engine = case.context.models["candidate"]
    return [
        token
        for tokens in logit_lens(engine, directions_KD[:SHOWN_DIRECTIONS], SHOWN_TOKENS)
        for token in tokens
    ]
