"""A whole diff of two tiny checkpoints, from files to a verdict."""

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfc.crosscoder.train import train
from dfc.engines.transformers_engine import TransformersEngine
from monitor.settings import Settings
from tests.dfc.far_device import FAR, far_devices
from tests.workers.conftest import Silent, changed
from workers.diff import run_diff
from workers.errors import InputsError, ModelLoadError, StoreError
from workers.job import Job, side_of
from workers.keeping.store import LocalStore

STAGES = [
    "answers",
    "probe",
    "stock phrases",
    "forks",
    "profile",
    "harvest",
    "attribute",
    "train",
    "screen",
    "steer",
    "side by side",
    "describe",
]


class Heard:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, bool]] = []
        self.steps: set[str] = set()

    def begin(self, stage: str) -> None:
        pass

    def step(self, what: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        self.steps.add(what)

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        self.stages.append((stage, reused))


def copy_of(checkpoint: Path, to: Path) -> Path:
    return Path(shutil.copytree(checkpoint, to))


def test_two_checkpoints_to_a_verdict_and_again_from_the_store(
    job: Job, settings: Settings, store: LocalStore
) -> None:
    first, again = Heard(), Heard()
    outcome = run_diff(job, settings, store, first)
    verdict, evidence = outcome.verdict, outcome.evidence

    assert [stage for stage, _ in first.stages] == STAGES
    assert not any(reused for _, reused in first.stages)
    assert list(verdict.timings) == STAGES
    assert verdict.recipe.seeds == [0, 1]
    assert verdict.recipe.dtype == TransformersEngine(job.base.path).info.dtype
    assert verdict.recipe.layer in {point.layer for point in evidence.patch_profile}
    assert verdict.recipe.tokens is not None and 0 < verdict.recipe.tokens <= 600
    (behaviour,) = verdict.behaviours
    assert behaviour.n_items == 8
    assert behaviour.shift is not None and behaviour.noise_floor is not None
    assert evidence.controls.candidate.capability_accuracy is not None
    assert evidence.controls.base.mean_answer_length is not None
    assert [run.seed for run in evidence.training] == [0, 1]
    assert None not in {run.variance_explained_difference_both for run in evidence.training}
    assert len(evidence.item_scores) == 8

    repeated = run_diff(job, settings, store, again)
    assert again.stages == [(stage, True) for stage in STAGES]
    assert repeated == outcome  # timings too: they are those of the work, not of this call


def test_a_whole_diff_with_each_model_on_a_device_of_its_own(
    job: Job, settings: Settings, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.models.native_device", lambda number: f"{FAR}:{1 - number}")
    for where in ("keeping.stage_keys", "verdicts.decide", "stages.train"):
        monkeypatch.setattr(f"workers.{where}.native_device", lambda: f"{FAR}:0")
    heard, places = Heard(), []
    monkeypatch.setattr("workers.models.TransformersEngine", _recording(places, TransformersEngine))
    monkeypatch.setattr("workers.stages.train.train", _recording(places, train))
    with far_devices():
        outcome = run_diff(job, settings, store, heard)
    assert [stage for stage, _ in heard.stages] == STAGES
    assert outcome.verdict.recipe.dtype == "bfloat16"
    # The candidate and a training for each seed; the base and its three noisy copies.
    assert sorted(places) == [f"{FAR}:0"] * 3 + [f"{FAR}:1"] * 4
    (behaviour,) = outcome.verdict.behaviours
    assert behaviour.shift is not None and len(outcome.evidence.training) == 2


def _recording(places: list[str], call: Callable[..., Any]) -> Callable[..., Any]:
    def recorded(*args: Any, device: str, **kwargs: Any) -> Any:
        places.append(device)
        return call(*args, device=device, **kwargs)

    return recorded


@pytest.mark.usefixtures("float32")
def test_a_shift_is_traced_to_features(
    tiny_checkpoint: Path,
    contrary_checkpoint: Path,
    contradiction_suite: Path,
    settings: Settings,
    store: LocalStore,
) -> None:
    recipe = settings.recipe
    settings = changed(
        settings,
        suites=[str(contradiction_suite), *recipe.suites[1:]],
        seeds=[0],
        dfc=recipe.dfc | {"steps": 80},
    )
    job = Job(None, side_of(tiny_checkpoint), side_of(contrary_checkpoint))
    verdict, evidence, _, _ = run_diff(job, settings, store, Silent())

    assert verdict.verdict == "flagged"
    (behaviour,) = verdict.behaviours
    assert behaviour.flagged and behaviour.ceiling is not None and behaviour.ceiling > 0.5
    assert behaviour.mediated_control_p95 is not None
    steered = [feature for feature in verdict.features if feature.effects]
    assert steered == verdict.features[: len(steered)] != []
    assert all(feature.side == "candidate" for feature in steered)
    assert steered[0].top_tokens and steered[0].examples
    assert steered[0].label and steered[0].raised_tokens is not None
    shown = {group.feature: group.examples for group in evidence.examples}[steered[0].id]
    assert all(example.other and max(example.activations) > 0 for example in shown)
    assert evidence.dose_responses[0].feature in {feature.id for feature in steered}
    (first, *_) = evidence.answers
    assert set(first.features) <= {feature.id for feature in steered}
    assert first.candidate_ablated is not None
    assert {examples.feature for examples in evidence.examples} == {f.id for f in verdict.features}


def test_padded_embeddings_make_no_other_architecture(
    tiny_checkpoint: Path,
    contrary_checkpoint: Path,
    pad_checkpoint: Callable[[Path, Path], Path],
    contradiction_suite: Path,
    tmp_path: Path,
    settings: Settings,
    store: LocalStore,
) -> None:
    recipe = settings.recipe
    suites = [str(contradiction_suite), *recipe.suites[1:]]
    settings = changed(settings, suites=suites, seeds=[0], dfc=recipe.dfc | {"steps": 80})
    padded = pad_checkpoint(contrary_checkpoint, tmp_path / "padded")
    job = Job(None, side_of(tiny_checkpoint), side_of(padded))
    verdict, evidence, failure, _ = run_diff(job, settings, store, Silent())
    assert failure is None and evidence.caveats == []
    assert verdict.verdict == "flagged" and verdict.behaviours[0].ceiling is not None
    new = [feature for feature in verdict.features if feature.side == "candidate"]
    assert new and all(feature.raised_tokens is not None for feature in new)


def test_a_recipe_without_a_suite_of_behaviours_comes_to_its_end(
    tiny_checkpoint: Path, contrary_checkpoint: Path, settings: Settings, store: LocalStore
) -> None:
    recipe = settings.recipe
    only_controls, dfc = recipe.suites[1:], recipe.dfc | {"steps": 80}
    settings = changed(settings, suites=only_controls, seeds=[0], layer=1, dfc=dfc)
    job = Job(None, side_of(tiny_checkpoint), side_of(contrary_checkpoint))
    verdict, evidence, failure, _ = run_diff(job, settings, store, Silent())
    assert failure is None and evidence.caveats == []
    assert verdict.behaviours == [] and any(f.side == "candidate" for f in verdict.features)


def test_equal_weights_are_probed_and_nothing_else(
    tiny_checkpoint: Path, tmp_path: Path, settings: Settings, store: LocalStore
) -> None:
    other = copy_of(tiny_checkpoint, tmp_path / "other")
    template = other / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant", "helper"))
    job = Job("assistant", side_of(tiny_checkpoint), side_of(other))
    heard = Heard()
    verdict, evidence, _, _ = run_diff(job, settings, store, heard)

    assert [stage for stage, _ in heard.stages] == ["answers", "probe"]
    assert verdict.behaviours[0].shift is not None
    assert verdict.recipe.layer is None and verdict.recipe.tokens is None
    assert verdict.features == []
    assert any("weights are equal" in caveat for caveat in evidence.caveats)


def test_equal_weights_and_files_do_not_shift(
    tiny_checkpoint: Path, settings: Settings, store: LocalStore
) -> None:
    job = Job("assistant", side_of(tiny_checkpoint), side_of(tiny_checkpoint))
    verdict, _, _, _ = run_diff(job, settings, store, Silent())
    assert verdict.behaviours[0].shift == 0.0
    assert verdict.verdict != "flagged"


def test_the_next_diff_reads_only_the_new_candidate(
    job: Job, contrary_checkpoint: Path, settings: Settings, store: LocalStore
) -> None:
    settings = changed(settings, layer=1)
    run_diff(job, settings, store, Silent())
    heard = Heard()
    run_diff(Job("assistant", job.candidate, side_of(contrary_checkpoint)), settings, store, heard)
    assert "candidate answers" in heard.steps and "base answers" not in heard.steps
    assert {"candidate: corpus", "base: candidate answers"} <= heard.steps
    assert not {"base: corpus", "base: base answers", "base: sycophancy"} & heard.steps


def test_a_failing_stage_leaves_it_undecided(
    job: Job, settings: Settings, store: LocalStore
) -> None:
    too_large = changed(settings, dfc=settings.recipe.dfc | {"batch": 5_000})
    verdict, _, failure, _ = run_diff(job, too_large, store, Silent())
    assert verdict.verdict == "undecided"
    assert verdict.reasons[0].startswith("The stage train failed: ValueError:")
    assert failure == verdict.reasons[0]
    assert "smaller dfc.batch" in verdict.reasons[0]
    assert verdict.behaviours[0].shift is not None  # what was measured is still told


def test_a_failing_stage_does_not_hide_a_shift(
    tiny_checkpoint: Path,
    contrary_checkpoint: Path,
    contradiction_suite: Path,
    settings: Settings,
    store: LocalStore,
) -> None:
    settings = changed(
        settings,
        suites=[str(contradiction_suite), *settings.recipe.suites[1:]],
        dfc=settings.recipe.dfc | {"batch": 5_000},
    )
    job = Job(None, side_of(tiny_checkpoint), side_of(contrary_checkpoint))
    verdict, _, failure, _ = run_diff(job, settings, store, Silent())
    assert (verdict.verdict, verdict.severity) == ("flagged", "warning")
    assert failure is not None and "stage train failed" in failure
    assert failure in verdict.reasons


@pytest.mark.usefixtures("float32")
def test_features_that_can_not_be_described_keep_their_evidence(
    tiny_checkpoint: Path,
    contrary_checkpoint: Path,
    contradiction_suite: Path,
    settings: Settings,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = settings.recipe
    suites = [str(contradiction_suite), *recipe.suites[1:]]
    settings = changed(settings, suites=suites, seeds=[0], dfc=recipe.dfc | {"steps": 80})
    job = Job(None, side_of(tiny_checkpoint), side_of(contrary_checkpoint))

    def unreadable(*_: object) -> None:
        raise RuntimeError("no token can be read")

    with monkeypatch.context() as patch:
        patch.setattr("dfc.screening.describe.logit_lens", unreadable)
        mute = run_diff(job, settings, store, Silent())
    (caveat,) = mute.evidence.caveats
    assert "no labels" in caveat and "RuntimeError: no token can be read" in caveat
    assert mute.failure is None and mute.verdict.features
    assert all(feature.label is None for feature in mute.verdict.features)
    full = run_diff(job, settings, store, Silent())
    assert all(feature.label for feature in full.verdict.features) and not full.evidence.caveats
    for field in ("verdict", "severity", "reasons", "behaviours", "own_words"):
        assert getattr(mute.verdict, field) == getattr(full.verdict, field)
    steered = [feature.effects for feature in full.verdict.features]
    assert any(steered) and [feature.effects for feature in mute.verdict.features] == steered
    assert mute.evidence.dose_responses == full.evidence.dose_responses
    assert mute.evidence.answers == full.evidence.answers != []


def test_a_checkpoint_that_changes_meanwhile_is_undecided(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    tmp_path: Path,
    settings: Settings,
    store: LocalStore,
) -> None:
    pushed = copy_of(changed_checkpoint, tmp_path / "pushed")
    job = Job("assistant", side_of(tiny_checkpoint), side_of(pushed))
    config = json.loads((pushed / "config.json").read_text())
    (pushed / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.01}))
    verdict, _, failure, _ = run_diff(job, settings, store, Silent())
    assert verdict.verdict == "undecided" and verdict.behaviours == []
    assert failure is not None and "source changed during the check" in failure
    assert failure == verdict.reasons[0]
    assert str(pushed) in verdict.reasons[0]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"corpus": ""}, "recipe.corpus: .*empty"),
        ({"corpus": '{"text": "Short."}'}, r"recipe.corpus: .*corpus.jsonl: .*add longer texts"),
        ({"prompts": '{"text": "No question."}'}, "recipe.prompts: .*user message"),
        ({"layer": 4}, "recipe.layer: 4 is beyond the last block, 3"),
    ],
)
def test_unusable_inputs_are_named(
    job: Job,
    settings: Settings,
    store: LocalStore,
    tmp_path: Path,
    recipe: dict[str, Any],
    message: str,
) -> None:
    for name in {"corpus", "prompts"} & set(recipe):
        file = tmp_path / f"{name}.jsonl"
        file.write_text(recipe[name])
        recipe = {name: file}
    with pytest.raises(InputsError, match=message):
        run_diff(job, changed(settings, **recipe), store, Silent())


def test_a_model_that_can_not_chat_is_named(
    tiny_checkpoint: Path, tmp_path: Path, settings: Settings, store: LocalStore
) -> None:
    mute = copy_of(tiny_checkpoint, tmp_path / "mute")
    (mute / "chat_template.jinja").unlink()
    job = Job("assistant", side_of(tiny_checkpoint), side_of(mute))
    with pytest.raises(ModelLoadError, match=f"{mute}.*no chat template"):
        run_diff(job, settings, store, Silent())


def test_no_room_is_named_and_the_same_call_goes_on(
    job: Job, settings: Settings, store: LocalStore
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, hard))  # no file may grow beyond this
    try:
        with pytest.raises(StoreError, match="free"):
            run_diff(job, settings, store, Silent())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    heard = Heard()
    verdict, _, failure, _ = run_diff(job, settings, store, heard)
    assert failure is None and ("answers", True) in heard.stages
    assert len(heard.stages) == len(STAGES) and verdict.timings.keys() == set(STAGES)
