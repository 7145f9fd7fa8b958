"""A diff of two models with nothing in common but the language they are asked in."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from dfc.crosscoder.config import ScreenConfig
from monitor.settings import Settings
from tests.alerts.suites import suite_json
from tests.workers.conftest import DFC, TEXTS, Silent, changed, write_lines
from workers.context import Context
from workers.diff import run_diff
from workers.errors import InputsError
from workers.flagged import flagged_behaviours
from workers.job import Job, side_of
from workers.keeping.store import LocalStore
from workers.stages.aligned import (
    AlignedDocument,
    aligned_lines,
    aligned_share,
    within_pairs,
)
from workers.stages.answers import BothAnswers, answer_prompts
from workers.stages.attribute import attribute_difference
from workers.stages.describe import describe_features
from workers.stages.forks import find_forks
from workers.stages.harvest import Harvest, PairedStates, harvest_models, read_states
from workers.stages.probe import probe_models
from workers.stages.profile import choose_depth
from workers.stages.screen import Banks, Screened, screen_features
from workers.stages.steer import steer_features
from workers.stages.train import train_crosscoders

EVERYTHING = ScreenConfig.model_validate(
    {
        "exclusivity": 0.0,
        "carried_error": 1e9,
        "carried_readout": 1e9,
        "mirror_correlation": 1.0,
    }
)
"""A screening that lists whatever is alive and measurable."""


@pytest.fixture
def foreign_job(tiny_checkpoint: Path, foreign_checkpoint: Path) -> Job:
    return Job("assistant", side_of(tiny_checkpoint), side_of(foreign_checkpoint))


@pytest.fixture
def long_corpus(settings: Settings, tmp_path: Path) -> Settings:
    """Enough text to fit maps between the two residual streams."""
    lines = [{"text": f"{text} {n} {other}"} for n, text in enumerate(TEXTS) for other in TEXTS]
    path = write_lines(tmp_path / "corpus.jsonl", lines)
    return changed(settings, corpus=path, tokens=2400, dfc=DFC | {"k": 8, "steps": 40})


def test_two_architectures_to_a_verdict_and_again_from_the_store(
    foreign_job: Job, long_corpus: Settings, store: LocalStore
) -> None:
    outcome = run_diff(foreign_job, long_corpus, store, Silent())
    verdict, evidence = outcome.verdict, outcome.evidence
    assert outcome.failure is None
    assert verdict.behaviours[0].shift is not None
    assert verdict.behaviours[0].ceiling is None
    assert evidence.patch_profile == []
    assert verdict.recipe.layer == 3  # two thirds of five blocks
    assert verdict.recipe.tokens is not None and 640 < verdict.recipe.tokens <= 2400
    said = " ".join(evidence.caveats)
    assert "per token of different tokenizers" in said and "no ceiling was measured" in said
    assert "of the places that could be paired" in said and "linear map" in said
    assert all(feature.delta_energy is None for feature in verdict.features)
    assert all(feature.exclusivity is not None for feature in verdict.features)
    assert run_diff(foreign_job, long_corpus, store, Silent()) == outcome


class Found(NamedTuple):
    """What the stages before the experiments have found, with every latent listed that is alive."""

    context: Context
    answers: BothAnswers
    harvest: Harvest
    pair: PairedStates
    screened: Screened
    banks: Banks


@pytest.fixture
def found(
    make_context: Callable[..., Context],
    foreign_job: Job,
    long_corpus: Settings,
    tmp_path: Path,
) -> Found:
    """Of two suites, one the other turned round: so that one of the two has certainly risen. The
    policy bears any cost, because random models have nothing that an edit could spare."""
    paths = [tmp_path / "agreeing.json", tmp_path / "contrary.json"]
    for path, behaviour in zip(paths, ("agreement", "contradiction"), strict=True):
        suite = suite_json(templates=8, per_template=1, behaviour=behaviour)
        for number, one in enumerate(suite["items"]):
            # Nearly the same words in all items: else random models would move each its own way.
            sides = [f"{'You are right! ' * 3}{number}"], [f"{'I disagree. ' * 3}{number}"]
            matching, others = sides if behaviour == "agreement" else sides[::-1]
            one["variants"][0] |= {"matching": matching, "not_matching": others}
        path.write_text(json.dumps(suite))
    suites = [*map(str, paths), *long_corpus.recipe.suites[1:]]
    context = make_context(foreign_job, changed(long_corpus, suites=suites, seeds=[0]))
    inputs = context.inputs
    context = replace(
        context,
        inputs=inputs._replace(
            recipe=inputs.recipe.model_copy(
                update={"screen": EVERYTHING, "maximum_nll_rise": 100.0}
            )
        ),
    )
    answers = answer_prompts(context).result
    layer = choose_depth(context, answers).result.layer
    harvest = harvest_models(context, answers, layer).result
    pair = read_states(context, harvest, layer)
    probe = probe_models(context).result
    context = replace(context, shifted=flagged_behaviours(context.inputs, probe, {}))
    forks = find_forks(context, answers).result
    attributed = attribute_difference(context, answers, probe, forks, layer)
    training = train_crosscoders(context, harvest, attributed, lambda: pair)
    told = training.runs[0].result.summary
    assert told.variance_explained_base is not None and told.variance_explained_base > 0
    assert told.variance_explained_difference is told.variance_explained_difference_both is None
    screening = screen_features(context, training, layer, lambda: pair)
    banks = Banks(screening.directory)
    return Found(context, answers, harvest, pair, screening.result, banks)


def test_a_shift_across_architectures_is_steered_in_both_models(found: Found) -> None:
    context = found.context
    probe, forks = probe_models(context).result, find_forks(context, found.answers).result
    causes = steer_features(
        context, probe, forks, found.screened, found.banks, lambda: found.pair
    ).result
    shifts = {b.name: b.shift for b in probe.measured(context.inputs.behaviour_suites)}
    assert shifts["agreement"] == pytest.approx(-(shifts["contradiction"] or 0.0), rel=0.01)
    risen = max(shifts, key=lambda name: shifts[name] or 0.0)
    evidence = causes.evidence[risen]
    assert evidence.ceiling is None
    parts = (evidence.mediated_best, evidence.mediated_five, evidence.mediated_all)
    assert all(part for part in parts) and evidence.control_p95 is not None
    best = causes.best[risen]
    listed = {feature.id for feature in found.screened.short_list if feature.side == "candidate"}
    assert best and set(best) <= listed
    effects = [effect for name in best for effect in causes.effects[name]]
    assert all(effect.ablation_removes is not None for effect in effects)
    assert any(effect.ablation_removes for effect in effects)
    assert all(effect.addition_induces and effect.strength for effect in effects)


def test_examples_are_the_whole_text_as_the_features_own_model_reads_it(found: Found) -> None:
    context = found.context
    described = describe_features(
        context, found.answers, found.harvest, found.screened, found.banks, lambda: found.pair
    ).result
    assert {feature.side for feature in found.screened.short_list} == {"base", "candidate"}
    for feature in found.screened.short_list:
        engine = context.models[feature.side]
        documents = found.harvest.read_by(feature.side).values()
        texts = [engine.decode(tokens) for group in documents for tokens in group]
        description = described.features[feature.id]
        assert description.examples
        for example in description.examples:
            assert len(example.tokens) == len(example.activations) and example.other is None
            assert any("".join(example.tokens) in text for text in texts)
        for shown in (*description.firing_texts, *description.near_texts):
            assert any(shown in text for text in texts)


def test_too_little_text_to_map_the_models_is_no_crash(
    foreign_job: Job, settings: Settings, store: LocalStore
) -> None:
    outcome = run_diff(foreign_job, settings, store, Silent())
    assert outcome.failure is None
    assert "too little text to map" in " ".join(outcome.evidence.caveats)


def test_harvested_lines_are_the_same_places_of_the_same_texts(
    make_context: Callable[[Job], Context], foreign_job: Job
) -> None:
    context = make_context(foreign_job)
    answers = answer_prompts(context).result
    layer = choose_depth(context, answers).result.layer
    harvest = harvest_models(context, answers, layer).result
    pair = read_states(context, harvest, layer)
    assert harvest.aligned is not None and len(pair.base.x_TD) == harvest.tokens
    assert pair.base.x_TD.shape[1] == 32 and pair.candidate.x_TD.shape[1] == 48
    assert harvest.base_layer == 2 and layer == 3
    assert harvest.aligned_share is not None and 0 < harvest.aligned_share <= 1
    base, candidate = context.models["base"], context.models["candidate"]
    read = [
        base.decode(tokens[: position + 1]).split("]")[-1]
        for tokens, position in _places(harvest.read_by("base")["corpus"], pair.base)
    ]
    others = [
        candidate.decode(tokens[: position + 1])
        for tokens, position in _places(harvest.read_by("candidate")["corpus"], pair.candidate)
    ]
    assert read and [text.rstrip() for text in read] == [text.rstrip() for text in others]
    document = harvest.read_by("candidate")["corpus"][0]
    alone = candidate.harvest([document], layer)
    positions = [j for _, j in harvest.aligned["corpus"][0].pairs]
    expected_ND = alone.x_TD[torch.tensor(positions) - 1]
    found_ND = pair.candidate.x_TD[: len(positions)]
    torch.testing.assert_close(found_ND.float(), expected_ND.float(), rtol=0.05, atol=0.05)


def test_each_group_has_its_share_of_the_pairs(
    make_context: Callable[..., Context], foreign_job: Job, settings: Settings
) -> None:
    context = make_context(foreign_job, changed(settings, tokens=120))
    answers = answer_prompts(context).result
    harvest = harvest_models(context, answers, 3).result
    assert harvest.aligned is not None and harvest.tokens == 120
    pairs = {
        name: sum(len(document.pairs) for document in group)
        for name, group in harvest.aligned.items()
    }
    assert pairs == {"corpus": 60, "base answers": 30, "candidate answers": 30}


def test_only_so_many_pairs_are_taken() -> None:
    documents = [
        AlignedDocument(
            base=(1, 2, 3), candidate=(4, 5), pairs=[(1, 1), (2, 1)], paired=2, content=3
        )
        for _ in range(3)
    ]
    kept = within_pairs(iter(documents), 3)
    assert [len(document.pairs) for document in kept] == [2, 1]
    assert aligned_share(kept) == aligned_share(documents) == pytest.approx(2 / 3)
    assert aligned_share([]) is None
    assert aligned_lines([(7, 8, 9), (7, 8)], [[1, 2], [1]]).tolist() == [0, 1, 2]


def test_a_recipe_that_insists_on_the_tied_form_is_told_so(
    foreign_job: Job, settings: Settings, store: LocalStore
) -> None:
    tied = changed(settings, dfc=settings.recipe.dfc | {"form": "tied"})
    with pytest.raises(InputsError, match=r"recipe\.dfc\.form: 'tied' needs"):
        run_diff(foreign_job, tied, store, Silent())


def test_the_same_architecture_with_another_tokenizer_is_aligned(
    tiny_checkpoint: Path,
    foreign_checkpoint: Path,
    changed_checkpoint: Path,
    tmp_path: Path,
    settings: Settings,
    store: LocalStore,
) -> None:
    other = Path(shutil.copytree(changed_checkpoint, tmp_path / "other"))
    content = json.loads((other / "tokenizer.json").read_text())
    content["pre_tokenizer"]["use_regex"] = not content["pre_tokenizer"]["use_regex"]
    (other / "tokenizer.json").write_text(json.dumps(content))
    job = Job(None, side_of(tiny_checkpoint), side_of(other))
    outcome = run_diff(job, settings, store, Silent())
    assert outcome.failure is None
    assert "The models differ in architecture or tokenizer" in " ".join(outcome.evidence.caveats)


def _places(documents, activations):  # type: ignore[no-untyped-def]
    lines = zip(activations.document_T.tolist(), activations.position_T.tolist(), strict=True)
    return [(documents[d], position) for d, position in lines if d < len(documents)]
