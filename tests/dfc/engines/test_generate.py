"""Batched decoding with edits equals decoding each row alone, without cache or padding."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dfc.engines.engine import Edit, FeatureBank
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import InputError, SteeringError
from tests.dfc import naive

PROMPTS = [(5, 6, 7, 8, 9, 10, 11), (40, 41), (90, 14, 30, 77), (201,), (33, 150, 8)]
EDITS: list[list[Edit]] = [
    [Edit(0, gain=-1.0), Edit(2, offset=2.0)],
    [],
    [Edit(4, offset=3.0)],
    [],
    [Edit(1, gain=4.0), Edit(5, gain=-1.0), Edit(3, offset=1.0)],
]


def test_greedy_equals_plain_decoding(engine: TransformersEngine, tiny_checkpoint: Path) -> None:
    model = naive.load(tiny_checkpoint)
    expected = [naive.greedy(model, prompt, 12, stop=[2]) for prompt in PROMPTS]
    assert engine.generate(PROMPTS, 12) == expected


def test_every_row_is_steered_by_its_own_edits(
    engine: TransformersEngine, tiny_checkpoint: Path, bank: FeatureBank
) -> None:
    model = naive.load(tiny_checkpoint)
    expected = [
        naive.greedy(model, prompt, 12, [2], bank, edits)
        for prompt, edits in zip(PROMPTS, EDITS, strict=True)
    ]
    steered = engine.generate(PROMPTS, 12, bank=bank, edits=EDITS)
    assert steered == expected
    plain = engine.generate(PROMPTS, 12)
    assert [a == b for a, b in zip(steered, plain, strict=True)] == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_steered_positions_are_prompt_and_answer_without_the_first(
    engine: TransformersEngine, bank: FeatureBank
) -> None:
    # Nine tokens are fed per row of 4: prompt and all but the last new token, less position 0.
    answers = engine.generate([PROMPTS[2]], 6, bank=bank, edits=[EDITS[2]])
    assert len(answers[0]) == 6
    assert engine.n_steered_positions == len(PROMPTS[2]) + 5 - 1


def test_steering_a_lone_first_position_is_refused(
    engine: TransformersEngine, bank: FeatureBank
) -> None:
    with pytest.raises(SteeringError, match="touches no position"):
        engine.generate([(201,)], 1, bank=bank, edits=[[Edit(0, offset=1.0)]])


def test_every_end_token_of_the_checkpoint_stops(
    engine: TransformersEngine, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    first = engine.generate(PROMPTS, 12)
    ends = [answer[4] for answer in first if len(answer) > 4][:2]
    path = make_checkpoint(tmp_path / "ends")
    settings = json.loads((path / "generation_config.json").read_text())
    settings["eos_token_id"] = ends
    (path / "generation_config.json").write_text(json.dumps(settings))
    stopped = TransformersEngine(path, dtype=torch.float32).generate(PROMPTS, 12)
    for answer, whole in zip(stopped, first, strict=True):
        stops = [i for i, token in enumerate(whole) if token in ends]
        assert answer == whole[: stops[0] if stops else None]
    assert stopped != first


def test_settings_of_the_checkpoint_do_not_change_decoding(
    engine: TransformersEngine, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_checkpoint(tmp_path / "settings")
    settings = json.loads((path / "generation_config.json").read_text())
    settings |= {"do_sample": True, "temperature": 3.0, "repetition_penalty": 2.0}
    (path / "generation_config.json").write_text(json.dumps(settings))
    other = TransformersEngine(path, dtype=torch.float32)
    assert other.generate(PROMPTS, 12) == engine.generate(PROMPTS, 12)


def test_samples_depend_on_seed_and_row_only(engine: TransformersEngine) -> None:
    sampled = engine.generate(PROMPTS, 12, temperature=1.0, seed=4)
    assert engine.generate(PROMPTS, 12, temperature=1.0, seed=4) == sampled
    assert engine.generate(PROMPTS, 12, temperature=1.0, seed=5) != sampled
    assert engine.generate(PROMPTS[:2], 12, temperature=1.0, seed=4) == sampled[:2]
    assert engine.generate([PROMPTS[0]] * 2, 12, temperature=1.0)[0] != sampled[0]


def test_samples_follow_the_distribution(engine: TransformersEngine, tiny_checkpoint: Path) -> None:
    expected_V = naive.logits(naive.load(tiny_checkpoint), PROMPTS[0])[-1].softmax(0)
    drawn = engine.generate([PROMPTS[0]] * 2000, 1, temperature=1.0, seed=1)
    counts_V = torch.bincount(torch.tensor([a[0] if a else 2 for a in drawn]), minlength=320)
    # Total variation between 2,000 draws and a distribution this peaked stays near 0.05.
    assert (counts_V / 2000 - expected_V).abs().sum() / 2 < 0.12


def test_what_pads_the_embeddings_is_never_written(
    tiny_checkpoint: Path, pad_checkpoint: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    path = pad_checkpoint(tiny_checkpoint, tmp_path / "padded")
    model = naive.load(path)
    plain = [naive.greedy(model, prompt, 12, stop=[2]) for prompt in PROMPTS]
    assert max(max(answer, default=0) for answer in plain) >= 320  # it would be
    engine = TransformersEngine(path, dtype=torch.float32)
    for temperature in (0.0, 1.0):
        answers = engine.generate(PROMPTS, 12, temperature=temperature)
        assert any(answers) and max(max(answer, default=0) for answer in answers) < 320


def test_progress_counts_rows(engine: TransformersEngine) -> None:
    seen: list[tuple[int, int]] = []
    engine.generate(PROMPTS, 2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_a_prompt_beyond_the_context_is_named(engine: TransformersEngine) -> None:
    with pytest.raises(InputError, match="prompt 1 needs 520 tokens"):
        engine.generate([(5, 6), (5,) * 500], 20)
