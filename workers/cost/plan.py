"""How much each stage tries: the stages' own figures, which can't be imported without torch, and
what is known only when a diff has run. A test holds the first against the stages.
"""

from typing import NamedTuple


class Effort(NamedTuple):
    """What the code of the stages fixes."""

    null_copies: int = 3
    second_answers: int = 48
    fork_prompts: int = 96
    fork_window: int = 16
    forks: int = 32
    profile_prompts: int = 16
    profile_opening: int = 24
    depths: int = 5
    corpus_share: float = 0.5
    answers_share: float = 0.25
    document_tokens: int = 256
    attributed_prompts: int = 64
    attributed_opening: int = 24
    attributed_items: int = 16
    neutral_rows: int = 24
    neutral_tokens: int = 68
    best: int = 5
    controls: int = 19
    selection_items: int = 16
    report_items: int = 24
    strengths: int = 4
    doses: int = 5
    dose_controls: int = 3
    reach_features: int = 3
    reach_items: int = 4
    reach_controls: int = 6
    side_prompts: int = 3
    side_tokens: int = 64
    decode_tokens: int = 16384
    contrast_documents: int = 3
    contrast_lines: int = 24
    """Per feature, at most: four where it fires and four where it may not, in each document."""


EFFORT = Effort()


class Assumed(NamedTuple):
    """What no one knows before the diff has run."""

    depth: float = 0.75
    """Of the layer that the profile will choose, as a part of the stack."""
    shifted: int = 2
    """Behaviours that are flagged, and so steered one by one."""
    features: int = 40
    """Features of the short list, which are described."""
    known_base: bool = False
    """An earlier diff has read the base: its answers, its scores and those of its noisy copies, and
    its states on the corpus and on its own answers at this layer are kept."""
