"""SmolLM2 beside a text encoder: two real models that share neither architecture nor tokenizer.

Only what needs no steering: are their tokens aligned, does one crosscoder explain both, and how
much of either do the maps between them explain.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from deploy.bench.architectures.minilm import EncoderEngine
from deploy.bench.minilm import build_minilm
from deploy.demo.smollm2 import build_base
from dfc.corpus import bundled_texts
from dfc.crosscoder.config import config_of
from dfc.crosscoder.form import layer_of_base, relative_layer
from dfc.crosscoder.train import train
from dfc.engines.engine import Progress, Reader
from dfc.engines.transformers_engine import TransformersEngine
from dfc.screening.stitching import fit_stitch
from workers.stages.aligned import (
    align_documents,
    aligned_lines,
    aligned_share,
    at_lines,
    within_pairs,
)
from workers.stages.profile import ACROSS

SEED = 0
DOCUMENT_TOKENS = 192


def compare_with_encoder(
    work: Path, positions: int, dfc: dict[str, Any], base_path: Path | None, progress: Progress
) -> dict[str, Any]:
    """Figures of harvest, alignment and training on the bundled texts, `positions` of them.

    `base_path` is a checkpoint of SmolLM2; None makes one below `work`.
    """
    path, encoder_path = base_path or work / "smollm2", work / "minilm"
    if not path.exists():
        build_base(path, work / "staging")
    if not encoder_path.exists():
        build_minilm(encoder_path, work / "staging")
    base, candidate = TransformersEngine(path), EncoderEngine(encoder_path)
    found = within_pairs(
        align_documents(base, candidate, bundled_texts(), DOCUMENT_TOKENS), positions
    )
    layer = relative_layer(ACROSS, candidate.info)
    base_layer = layer_of_base(layer, base.info, candidate.info)
    base_TD = _states(
        base, base_layer, [d.base for d in found], [[i for i, _ in d.pairs] for d in found]
    )
    candidate_TD = _states(
        candidate, layer, [d.candidate for d in found], [[j for _, j in d.pairs] for d in found]
    )
    trained = train(base_TD, candidate_TD, config_of("strict", dfc), seed=SEED, progress=progress)
    last, stitch = trained.history[-1], fit_stitch(base_TD, candidate_TD, seed=SEED)
    return {
        "documents": len(found),
        "aligned_positions": len(base_TD),
        "aligned_share": aligned_share(found),
        "layers": [base_layer, layer],
        "widths": [base.info.d_model, candidate.info.d_model],
        "latents": trained.model.config.latents,
        "variance_explained_base": 1 - last["base"],
        "variance_explained_candidate": 1 - last["candidate"],
        "stitch_r2_base_to_candidate": stitch.base_to_candidate.r2,
        "stitch_r2_candidate_to_base": stitch.candidate_to_base.r2,
    }


def _states(
    engine: Reader,
    layer: int,
    documents: Sequence[tuple[int, ...]],
    positions: Sequence[Sequence[int]],
) -> Tensor:
    lines_T = aligned_lines(documents, positions)
    return at_lines(engine.harvest(documents, layer), lines_T).x_TD
