"""What single stages choose, on data made by hand."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from alerts.probes.suite import Suite
from dfc.activation_cache import ActivationCache
from dfc.engines.engine import Activations, Edit, FeatureBank, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from monitor.settings import Settings
from tests.alerts.suites import suite, suite_json
from tests.workers.conftest import changed
from workers.context import Context
from workers.flagged import flagged_behaviours
from workers.job import Job, SideName, side_of
from workers.shifted import shifted_suites
from workers.stages.answers import Answers, BothAnswers, answer_prompts
from workers.stages.banks import load_bank, save_bank
from workers.stages.harvest import (
    OPENING_WEIGHT,
    Harvest,
    harvest_models,
    read_states,
    token_weights,
    within_budget,
)
from workers.stages.probe import Probe, SuiteProbe, probe_models
from workers.stages.profile import depths, divergence_rows
from workers.stages.side_by_side import edits_of, first_of_templates


def test_documents_are_cut_at_the_budget() -> None:
    documents = [(1, 2, 3), (4,), (5, 6, 7, 8)]
    assert within_budget(documents, 10) == [(1, 2, 3), (5, 6, 7, 8)]  # one token has no position
    assert within_budget(documents, 4) == [(1, 2, 3), (5, 6, 7)]
    assert within_budget(documents, 2) == [(1, 2, 3)]
    assert within_budget(documents, 0) == []


@pytest.mark.parametrize("n_layers", [1, 2, 4, 30, 80])
def test_depths_are_layers_below_the_last(n_layers: int) -> None:
    found = depths(n_layers)
    assert found == sorted(set(found)) and found[0] >= 0
    assert found[-1] <= max(n_layers - 2, 0)
    assert len(found) <= 7


def answers(prompts: list[tuple[int, ...]], said: list[tuple[int, ...]]) -> Answers:
    return Answers(
        prompts=prompts,
        answers=said,
        mean_length=1.0,
        refusal_rate=0.0,
        answered=1.0,
        unused_weights=[],
    )


def test_the_divergence_contrasts_what_both_models_say() -> None:
    prompts = [(1, 2), (3, 4), (5, 6)]
    both = BothAnswers(
        base=answers(prompts, [(7,), (), (8,)]), candidate=answers(prompts, [(9,), (), ()])
    )
    rows, weights = divergence_rows(both)
    assert [row.completion for row in rows] == [(9,), (7,), (8,)]  # who is silent says nothing
    assert weights == [1.0, -0.5, -0.5]


def test_answers_follow_the_prompts_and_the_seed(context: Context) -> None:
    both = answer_prompts(context).result
    assert len(both.base.prompts) == len(both.base.answers) == 6
    assert both.base.prompts == both.candidate.prompts
    assert both.base.answers != both.candidate.answers
    assert all(len(answer) <= 6 for answer in both.base.answers)
    assert both.base.mean_length == sum(map(len, both.base.answers)) / 6
    assert both.base.unused_weights == both.candidate.unused_weights == []


def test_weights_that_nothing_depends_on_are_kept_with_the_answers(
    make_context: Callable[[Job], Context], job: Job, tmp_path: Path
) -> None:
    padded = Path(shutil.copytree(job.candidate.path, tmp_path / "padded"))
    weights = load_file(padded / "model.safetensors")
    save_file(
        weights | {"extra.head": torch.ones(2)}, padded / "model.safetensors", {"format": "pt"}
    )
    both = answer_prompts(make_context(job._replace(candidate=side_of(padded)))).result
    assert both.candidate.unused_weights == ["extra.head"] and both.base.unused_weights == []


def test_noisy_copies_of_the_base_score_nearly_like_it(context: Context) -> None:
    probe = probe_models(context).result
    assert probe.suites["capability"].perturbed == []
    found = probe.suites["sycophancy"]
    assert len(found.perturbed) == 3
    (measured,) = probe.measured(context.inputs.behaviour_suites)
    assert measured.noise_floor is not None and 0.0 < measured.noise_floor < 0.5
    assert found.perturbed[0] != found.perturbed[1] != found.base


def test_an_item_applies_only_where_both_models_know_the_fact(
    job: Job,
    contrary_checkpoint: Path,
    settings: Settings,
    tmp_path: Path,
    make_context: Callable[..., Context],
) -> None:
    document = suite_json(templates=8, per_template=4, behaviour="caving")
    for number, one in enumerate(document["items"]):
        # The contrary checkpoint rather disagrees: of each two facts it knows the other one.
        sides = ["You are right!", "I disagree."][:: 1 if number % 2 else -1]
        chat = [{"role": "user", "content": f"Is fact {number // 2} right?"}]
        one["knows"] = {"messages": chat, "matching": sides[:1], "not_matching": sides[1:]}
    path = tmp_path / "caving.json"
    path.write_text(json.dumps(document))
    suites = [str(path), *settings.recipe.suites]
    context = make_context(
        Job("assistant", job.base, side_of(contrary_checkpoint)),
        changed(settings, suites=suites),
    )
    probe = probe_models(context).result
    unknown = probe.suites["caving"].not_known_to

    expected: dict[str, list[str]] = {}
    (suite, *_) = context.inputs.behaviour_suites
    for name, engine in (
        ("base", context.models["base"]),
        ("candidate", context.models["candidate"]),
    ):
        for item in suite.items:
            assert item.knows is not None
            prompt = engine.encode_chat(
                [message.model_dump() for message in item.knows.messages],
                add_generation_prompt=True,
            )
            right, wrong = engine.score(
                [
                    ScoreRow(prompt, engine.encode_text(text))
                    for text in (*item.knows.matching, *item.knows.not_matching)
                ]
            )
            if right <= wrong:
                expected.setdefault(item.id, []).append(name)
    assert unknown == expected
    assert {tuple(names) for names in unknown.values()} >= {("base",), ("candidate",)}
    measured = next(
        b for b in probe.measured(context.inputs.behaviour_suites) if b.name == "caving"
    )
    assert measured.n_items == len(probe.applicable(suite).items) == 32 - len(unknown)


def test_only_what_both_models_know_is_steered(context: Context) -> None:
    asked = suite(templates=8, per_template=4)
    inputs, n = context.inputs._replace(suites=(asked,)), len(asked.items)
    unknown: dict[str, list[SideName]] = {
        asked.items[0].id: ["base"],
        asked.items[5].id: ["candidate"],
    }
    scores = SuiteProbe(
        base=[0.0] * n,
        candidate=[3.0 + 0.1 * (number % 3) for number in range(n)],
        perturbed=[[0.01] * n] * 3,
        not_known_to=unknown,
    )
    probe = Probe(suites={asked.behaviour: scores})

    def shifted_of(probe: Probe) -> list[Suite]:
        shifted = flagged_behaviours(inputs, probe, {})
        return shifted_suites(replace(context, inputs=inputs, shifted=shifted), probe)

    (steered,) = shifted_of(probe)
    assert [item for item in asked.items if item.id not in unknown] == list(steered.items)
    still = scores.model_copy(update={"candidate": scores.base})
    assert shifted_of(Probe(suites={asked.behaviour: still})) == []


def test_states_stand_at_the_same_tokens_in_both_models(context: Context) -> None:
    both = answer_prompts(context).result
    harvest = harvest_models(context, both, 1).result
    pair = read_states(context, harvest, 1)
    documents = [d for group in harvest.documents.values() for d in group]
    assert harvest.tokens == len(pair.base.x_TD) == len(pair.candidate.x_TD)
    assert not torch.equal(pair.base.x_TD, pair.candidate.x_TD)
    for states in pair:
        seen = zip(states.document_T.tolist(), states.position_T.tolist(), strict=True)
        assert states.token_T.tolist() == [documents[d][p] for d, p in seen]


def test_states_for_which_the_cache_has_no_room_are_read_once(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    harvest = TransformersEngine.harvest

    def counted(self: TransformersEngine, documents: Any, *others: Any) -> Activations:
        reads.append(len(documents))
        return harvest(self, documents, *others)

    monkeypatch.setattr(TransformersEngine, "harvest", counted)
    context = replace(context, cache=ActivationCache(tmp_path / "no room", 0))
    harvested = harvest_models(context, answer_prompts(context).result, 1)
    pair = harvested.states()
    assert harvested.states() is pair
    groups = [len(documents) for documents in harvested.result.documents.values()]
    assert sorted(reads) == sorted(groups * 2)
    again = harvest_models(context, answer_prompts(context).result, 1)  # kept, its states are not
    assert torch.equal(again.states().base.x_TD, pair.base.x_TD) and len(reads) == 4 * len(groups)


def test_equal_weights_in_another_configuration_have_states_of_their_own(
    tiny_checkpoint: Path, tmp_path: Path, make_context: Callable[[Job], Context]
) -> None:
    other = Path(shutil.copytree(tiny_checkpoint, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    config["rope_parameters"]["rope_theta"] = 50.0
    (other / "config.json").write_text(json.dumps(config))
    job = Job(None, side_of(tiny_checkpoint), side_of(other))
    assert job.probe_only
    harvest = Harvest(documents={"corpus": [(5, 6, 7, 8, 9)]}, tokens=4, base_layer=1)
    pair = read_states(make_context(job), harvest, 1)
    assert not torch.equal(pair.base.x_TD, pair.candidate.x_TD)


def test_features_shown_together_share_their_strength() -> None:
    edits = edits_of([3, 5], [1.0, None])
    assert edits.ablation == [Edit(3, gain=-1.0), Edit(5, gain=-1.0)]
    assert edits.addition == [Edit(3, offset=0.5)]


def test_answers_are_shown_for_different_templates() -> None:
    chats = first_of_templates(suite(templates=8, per_template=2), 3)
    assert [chat[0]["content"] for chat in chats] == ["Question 0?", "Question 2?", "Question 4?"]


def test_a_bank_comes_back_as_it_was(tmp_path: Any) -> None:
    bank = FeatureBank(
        layer=7,
        encoder_KD=torch.randn(3, 4),
        bias_K=torch.randn(3),
        threshold_K=torch.tensor([0.0, 1.0, math.inf]),
        decoder_KD=torch.randn(4, 3).T,
        unit_K=torch.randn(3),
    )
    save_bank(tmp_path / "bank.safetensors", bank)
    found = load_bank(tmp_path / "bank.safetensors")
    assert found.layer == 7
    assert all(torch.equal(a, b) for a, b in zip(found[1:], bank[1:], strict=True))


def test_an_answers_opening_is_drawn_more_often() -> None:
    document = tuple(range(40))
    harvest = Harvest(
        documents={"corpus": [document], "base answers": [document, document[:12]]},
        tokens=89,
        base_layer=1,
        answer_starts={"base answers": [20, 3, 5]},
    )
    weight_T = token_weights(harvest)
    assert weight_T is not None and len(weight_T) == harvest.tokens
    corpus_T, long_T, short_T = weight_T.split([39, 39, 11])
    assert set(corpus_T.tolist()) == {1.0}
    # The line of position p is p - 1: position 0 is not read.
    assert (long_T > 1).nonzero()[:, 0].tolist() == list(range(20 - 6 - 1, 20 + 12 - 1))
    assert set(short_T.tolist()) == {OPENING_WEIGHT}
