"""What the cost model takes for granted, held against the code and the models that it is about."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from alerts.causes.choice import BEST
from alerts.causes.plan import CausalPlan
from alerts.causes.reach import ReachPlan
from deploy.bench.made_up import write_json
from dfc.activation_cache import ActivationCache
from dfc.crosscoder.config import config_of
from dfc.crosscoder.model import Dfc
from dfc.engines import transformers_engine
from dfc.engines.engine import Activations
from dfc.screening import contrast
from monitor.errors import CheckpointRefusedError
from workers.cost.crosscoder import crosscoder_weights
from workers.cost.plan import EFFORT, Effort
from workers.cost.shape import read_shape
from workers.cost.volume import position_bytes
from workers.item_scores import NULL_COPIES
from workers.stages import (
    answers,
    attribute,
    forks,
    harvest,
    profile,
    side_by_side,
    steer,
    stock_phrases,
)


def test_the_effort_is_that_of_the_stages() -> None:
    causes, reach = CausalPlan(), ReachPlan()
    shares = harvest.SHARES
    assert Effort() == Effort(
        null_copies=NULL_COPIES,
        second_answers=stock_phrases.AGAIN,
        fork_prompts=forks.PROMPTS,
        fork_window=forks.WINDOW,
        forks=forks.FORKS,
        profile_prompts=profile.PROMPTS,
        profile_opening=profile.OPENING,
        depths=len(profile.DEPTHS),
        corpus_share=shares["corpus"],
        answers_share=shares["base answers"],
        document_tokens=harvest.DOCUMENT_TOKENS,
        attributed_prompts=attribute.PROMPTS,
        attributed_opening=attribute.OPENING,
        attributed_items=attribute.SUITE_ITEMS,
        neutral_rows=steer.NEUTRAL_ROWS,
        neutral_tokens=steer.OPENING + steer.NEUTRAL_TOKENS,
        best=BEST,
        controls=causes.controls,
        selection_items=causes.selection_items,
        report_items=causes.report_items,
        strengths=len(causes.strengths),
        doses=len(causes.doses),
        dose_controls=causes.dose_controls,
        reach_features=reach.features,
        reach_items=reach.items,
        reach_controls=reach.controls,
        side_prompts=side_by_side.PROMPTS_PER_BEHAVIOUR,
        side_tokens=side_by_side.ANSWER_TOKENS,
        decode_tokens=transformers_engine.TOKENS_IN_CACHE,
        contrast_documents=contrast.DOCUMENTS,
        contrast_lines=contrast.DOCUMENTS * (contrast.FIRING + contrast.SPREAD),
    )
    assert shares["candidate answers"] == EFFORT.answers_share
    assert answers.TEMPERATURE  # a sampled answer: its length is the recipe's limit, at most


CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "bfloat16",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "num_key_value_heads": 2,
    "vocab_size": 500,
}


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": False},
        {"tie_word_embeddings": True},
        {"tie_word_embeddings": True, "head_dim": 32, "num_key_value_heads": 4},
        {
            "architectures": ["GPTNeoXForCausalLM"],
            "model_type": "gpt_neox",
            "num_key_value_heads": None,
        },
    ],
)
def test_a_shape_has_the_matrices_of_the_real_model(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    write_json(tmp_path / "config.json", CONFIG | changes)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    matrices = [weight for weight in model.parameters() if weight.dim() == 2]
    shape = read_shape(tmp_path)
    assert shape.weights == sum(weight.numel() for weight in matrices)
    assert shape.file_bytes == 2 * shape.weights


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"num_attention_heads": None}, "num_attention_heads must be a whole number"),
        ({"dtype": "auto"}, "dtype 'auto' is not one of"),
        ({"auto_map": {}}, "names code"),
    ],
)
def test_a_config_that_says_no_shape_is_named(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    file = tmp_path / "odd.json"
    write_json(file, CONFIG | changes)
    with pytest.raises(CheckpointRefusedError, match=told) as refused:
        read_shape(file)
    assert str(file) in str(refused.value)
    with pytest.raises(CheckpointRefusedError, match="is not there"):
        read_shape(tmp_path / "gone")


@pytest.mark.parametrize("form, widths", [("tied", (24, 24)), ("strict", (24, 40))])
def test_a_crosscoder_has_as_many_weights(form: Any, widths: tuple[int, int]) -> None:
    config = config_of(form, {"k_exclusive": 8})
    matrices = [weight for weight in Dfc(config, *widths).parameters() if weight.dim() == 2]
    assert crosscoder_weights(config, *widths) == sum(weight.numel() for weight in matrices)


def test_a_cached_position_takes_as_many_bytes(tmp_path: Path) -> None:
    lines = [torch.zeros(1000, dtype=torch.long) for _ in range(3)]
    cache = ActivationCache(tmp_path, 1 << 30)
    cache.put("a", Activations(torch.zeros(1000, 64, dtype=torch.bfloat16), *lines))
    header = 512
    size = (tmp_path / "a.safetensors").stat().st_size
    assert 0 < size - 1000 * position_bytes(64) < header
