"""The toy's statistics, the truth about hand-made dictionaries, and a small run of the command."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from deploy.bench.toy import cells
from deploy.bench.toy import run as bench
from deploy.bench.toy.cells import Cell, Measured, measure, store, stored
from deploy.bench.toy.crosscoders import Form, Settings, train_form
from deploy.bench.toy.features import (
    Evaluation,
    Feature,
    Kind,
    called_exclusive,
    evaluate,
    recalled,
    truth,
    written_rows,
)
from deploy.bench.toy.learning import HalfLearned, Learning
from deploy.bench.toy.plot import draw
from deploy.bench.toy.score import over_seeds, score
from deploy.bench.toy.tables import found_table
from deploy.bench.toy.universe import Sample, Scale, Universe, draw_sample, draw_universe
from dfc.crosscoder.config import DfcConfig, ScreenConfig
from dfc.crosscoder.config import Form as ProductForm
from dfc.crosscoder.model import Codes, Dfc
from dfc.crosscoder.normalisation import fit_normalisation
from dfc.crosscoder.train import TrainedDfc
from dfc.screening.exclusive_codes import exclusive_codes
from dfc.screening.judgement import judge_tied
from dfc.screening.screen_across import judge_strict
from dfc.sides import SideName
from workers.keeping.sources import _closure

TINY = Scale(concepts=64, width=24)
BRIEF = Settings(steps=40, batch=128, tokens=2000, learning_rate=3e-3, exclusive=0.1)


@pytest.fixture(scope="module")
def universe() -> Universe:
    return draw_universe(Scale(), seed=0)


@pytest.fixture(scope="module")
def sample(universe: Universe) -> Sample:
    return draw_sample(universe, 20_000, seed=1)


def test_the_concepts_are_as_published(universe: Universe) -> None:
    paper = Scale(concepts=2048, width=256, exclusive=0.025)
    assert paper.exclusive_concepts == 51 and paper.active == 20.48
    assert universe.scale.exclusive_concepts == 26
    assert torch.allclose(universe.base_CD.norm(dim=1), torch.ones(512), atol=1e-5)
    assert universe.candidate_CD.norm(dim=1).median().item() == pytest.approx(1, abs=0.02)
    assert abs((universe.base_CD * universe.candidate_CD).sum(1)).mean() < 0.3


def test_as_many_concepts_are_active_as_wanted(universe: Universe, sample: Sample) -> None:
    per_token_T = sample.active_TC.float().sum(1)
    assert per_token_T.mean().item() == pytest.approx(universe.scale.active, rel=0.03)
    assert per_token_T.min() >= 1
    rate_C = sample.active_TC.float().mean(0)
    assert torch.corrcoef(torch.stack([rate_C, universe.probability_C]))[0, 1] > 0.98
    assert universe.probability_C.max() > 10 * universe.probability_C.min()


def test_an_exclusive_concept_leaves_no_trace_in_the_other_model(
    universe: Universe, sample: Sample
) -> None:
    own = universe.candidate_only
    alone_T = sample.active_TC[:, own].any(1) & ~sample.active_TC[:, : own.start].any(1)
    alone_T &= ~sample.active_TC[:, own.stop :].any(1)
    assert alone_T.sum() > 5
    assert sample.base_TD[alone_T].norm(dim=1).max() < 0.2
    assert sample.candidate_TD[alone_T].norm(dim=1).median() > 0.2


def test_a_seed_is_a_toy() -> None:
    first, again = (draw_sample(draw_universe(TINY, 3), 50, seed=4) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for seed, part in ((5, 0), (4, 1)):
        other = draw_sample(draw_universe(TINY, 3), 50, seed, part)
        assert not torch.equal(first.base_TD, other.base_TD)
    one_space = draw_universe(TINY._replace(same_space=True), 3)
    assert torch.equal(one_space.base_CD, one_space.candidate_CD)


def rotated_away(row_D: Tensor, cosine: float) -> Tensor:
    away_D = torch.randn(len(row_D), generator=torch.Generator().manual_seed(8))
    away_D = normalize(away_D - (away_D @ row_D) * row_D, dim=0)
    return cosine * row_D + (1 - cosine**2) ** 0.5 * away_D


def test_the_truth_about_a_hand_made_dictionary(universe: Universe) -> None:
    unit_CD = universe.base_CD
    rows_KD = torch.stack(
        [
            3 * unit_CD[0],
            rotated_away(unit_CD[1], 0.9),
            rotated_away(unit_CD[1], 0.7),
            unit_CD[universe.shared][4],
            unit_CD[universe.candidate_only][0],  # not a concept of the base
        ]
    )
    kinds = [kind for kind, _, _ in truth(rows_KD, universe, "base")]
    assert kinds == ["exclusive", "exclusive", "none", "shared", "none"]
    assert recalled(rows_KD, unit_CD[:4]) == 0.5
    assert recalled(rows_KD, unit_CD[:0]) is None


def feature(kind: Kind, concept: int = 0, side: SideName = "base") -> Feature:
    return Feature(side, True, kind, concept, 0.9, 0.01, None, 0.3, False, None)


def test_recall_counts_concepts_and_precision_counts_features() -> None:
    features = [
        feature("exclusive", 1),
        feature("exclusive", 1),
        feature("exclusive", 1, side="candidate"),
        feature("shared"),
        feature("none"),
    ]
    found = score(features, exclusive_concepts=8)
    assert found == (2 / 8, 3 / 5, 5, 2, 1, 1)
    assert score([], 8) == (0.0, None, 0, 0, 0, 0)
    assert score(features[:1], 0).recall is None


def test_figures_over_seeds_carry_their_interval() -> None:
    found = over_seeds([0.1, 0.2, None, 0.3])
    assert found["mean"] == pytest.approx(0.2)
    assert found["interval_95"] == pytest.approx([0.2 - 0.2484, 0.2 + 0.2484], abs=1e-3)
    assert found["n"] == 3 and found["by_seed"] == [0.1, 0.2, None, 0.3]
    assert over_seeds([0.5])["interval_95"] is None
    assert over_seeds([None])["mean"] is None


@pytest.fixture(scope="module")
def trained() -> dict[Form, TrainedDfc]:
    """Every form, trained briefly on one toy in one space."""
    scale = TINY._replace(same_space=True)
    toy = draw_sample(draw_universe(scale, 0), BRIEF.tokens, seed=0)
    forms: list[Form] = ["standard", "dsf", "strict", "tied"]
    return {form: train_form(form, 40, toy, scale, BRIEF, 0, lambda *_: None) for form in forms}


@pytest.mark.parametrize("form", ["strict", "tied"])
def test_dedicated_latents_are_called_exclusive(
    form: Form, trained: dict[Form, TrainedDfc]
) -> None:
    rows = written_rows(trained[form].model)
    assert rows.base_BD.shape == rows.candidate_BD.shape == (40, TINY.width)
    assert called_exclusive(rows, "base")[32:].tolist() == [True] * 4 + [False] * 4
    assert called_exclusive(rows, "candidate")[32:].tolist() == [False] * 4 + [True] * 4


@pytest.mark.parametrize("form", ["standard", "dsf", "strict"])
def test_latents_that_lean_are_called_exclusive(
    form: Form, trained: dict[Form, TrainedDfc]
) -> None:
    rows = written_rows(trained[form].model)
    rows.candidate_BD[0] = 0.24 * rows.base_BD[0]
    rows.base_BD[1], rows.candidate_BD[1] = 0.9, 1.0
    assert called_exclusive(rows, "base")[:2].tolist() == [True, False]
    assert called_exclusive(rows, "candidate")[:2].tolist() == [False, False]


@pytest.mark.parametrize("form", ["standard", "dsf", "strict", "tied"])
def test_no_crosscoder_starts_from_the_truth(form: Form) -> None:
    scale = TINY._replace(same_space=True)
    toy = draw_universe(scale, seed=3)
    settings = BRIEF._replace(steps=1)
    sample = draw_sample(toy, settings.tokens, seed=3)
    model = train_form(form, 40, sample, scale, settings, 3, lambda *_: None).model
    rows = written_rows(model)
    assert recalled(rows.base_BD, toy.base_CD) < 0.05
    assert recalled(rows.candidate_BD, toy.candidate_CD) < 0.05


def test_designated_latents_are_tied_and_denser(trained: dict[Form, TrainedDfc]) -> None:
    model = trained["dsf"].model
    rows = written_rows(model)
    assert torch.equal(rows.base_BD[36:], rows.candidate_BD[36:])
    assert not torch.allclose(rows.base_BD[:36], rows.candidate_BD[:36])
    generator = torch.Generator().manual_seed(0)
    code = Codes(
        torch.rand(500, 36, generator=generator),
        torch.rand(500, 4, generator=generator),
        torch.zeros(500, 0),
    )
    kept = model.select(code, model.batch_thresholds(model.score(code), 10.0))
    assert (kept.base_BF > 0).sum().item() == 500 * 2  # a tenth of the latents, a fifth of k
    assert (kept.shared_BF > 0).sum().item() == 500 * 8


def test_a_cell_is_kept_for_its_settings_and_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = Cell("sizes", "strict", 32, 0, TINY, BRIEF)
    assert stored(tmp_path, cell) is None
    measured = Measured(Evaluation([feature("none")], 0.5, 0.25, 1.0), HalfLearned(0.2, None), 3.5)
    store(tmp_path, cell, measured)
    assert stored(tmp_path, cell) == measured
    assert stored(tmp_path, cell._replace(settings=BRIEF._replace(steps=41))) is None
    assert stored(tmp_path, cell._replace(seed=1)) is None
    monkeypatch.setattr(cells, "sources_digest", lambda name: "other code")
    assert stored(tmp_path, cell) is None


def test_the_code_of_training_screening_and_judging_is_part_of_a_cell() -> None:
    reached = set(_closure((cells.__name__,)))
    assert {
        "dfc.crosscoder.train",
        "dfc.crosscoder.loss",
        "dfc.crosscoder.model",
        "dfc.screening.cross_scaling",
        "dfc.screening.judgement",
    } <= reached
    toy = ("crosscoders", "features", "learning", "universe")
    assert {f"deploy.bench.toy.{name}" for name in toy} <= reached
    assert not {"deploy.bench.toy.plot", "deploy.bench.toy.run"} & reached


def test_half_of_what_is_learned_is_dated() -> None:
    toy = draw_universe(TINY, seed=0)
    model = Dfc(DfcConfig(form="strict", shared=20, k=2), TINY.width, TINY.width)
    learning = Learning(toy, steps=80)
    with torch.no_grad():
        for decoder in (model.decoder_base, model.base.decoder, model.candidate.decoder):
            decoder.zero_()
        for step in range(1, 81):
            if step == 20:
                model.decoder_base[:4] = toy.base_CD[toy.shared][:4]
            if step == 60:
                model.candidate.decoder[0] = 5 * toy.candidate_CD[toy.candidate_only][0]
            learning.watch(step, model)
    assert learning.half_learned() == (20 / 80, 60 / 80)
    assert Learning(toy, steps=80).half_learned() == (None, None)


def by_hand(form: ProductForm, toy: Universe, sample: Sample) -> TrainedDfc:
    """A crosscoder whose blocks hold a concept of their model and one that both models have.

    Takes fewer concepts than dimensions, so that every one can be read off exactly.
    """
    shared = toy.shared
    settings = {"form": form, "shared": len(toy.base_CD[shared]), "k": 1, "k_exclusive": 1}
    config = DfcConfig.model_validate({**settings, "base_exclusive": 2, "candidate_exclusive": 2})
    model = Dfc(config, toy.scale.width, toy.scale.width)
    read_base_CD, read_candidate_CD = (
        torch.linalg.pinv(concept_CD).T for concept_CD in (toy.base_CD, toy.candidate_CD)
    )
    with torch.no_grad():
        model.encoder_base.copy_(read_base_CD[shared] / 2)
        model.encoder_candidate.copy_(read_candidate_CD[shared] / 2)
        model.decoder_base.copy_(toy.base_CD[shared])
        if model.decoder_candidate is not None:
            model.decoder_candidate.copy_(toy.candidate_CD[shared])
        for block, read_CD, concept_CD, own in (
            (model.base, read_base_CD, toy.base_CD, toy.base_only),
            (model.candidate, read_candidate_CD, toy.candidate_CD, toy.candidate_only),
        ):
            block.encoder.copy_(read_CD[[own.start, shared.start]])
            block.decoder.copy_(concept_CD[[own.start, shared.start]])
        model.threshold.fill_(1.0)
    norm = fit_normalisation(sample.base_TD, sample.candidate_TD, same_architecture=form == "tied")
    return TrainedDfc(model, norm, 0, [])


@pytest.mark.parametrize("form", ["strict", "tied"])
def test_the_filter_is_the_screening_of_the_product(form: ProductForm) -> None:
    toy = draw_universe(Scale(100, 128, exclusive=0.03, same_space=form == "tied"), seed=0)
    held_out = draw_sample(toy, 100 * 128, 0, 1)
    trained = by_hand(form, toy, held_out)
    found = evaluate(trained, toy, held_out).features
    assert [(f.kind, f.is_new) for f in found] == [("exclusive", True), ("shared", False)] * 2
    states, screen = (held_out.base_TD, held_out.candidate_TD), ScreenConfig.model_validate({})
    codes = exclusive_codes(trained, *states)
    judged = (
        judge_tied(trained, codes, screen)
        if form == "tied"
        else judge_strict(trained, codes, *states, None, screen)
    )
    for side in ("base", "candidate"):
        assert judged[side].is_new_K.tolist() == [f.is_new for f in found if f.side == side]


def test_with_nothing_exclusive_the_filter_leaves_nothing() -> None:
    scale = TINY._replace(exclusive=0.0)
    settings = Settings(steps=300, batch=128, tokens=6000, learning_rate=5e-3, exclusive=0.25)
    evaluation = measure(Cell("null", "strict", 32, 0, scale, settings)).evaluation
    assert len(evaluation.features) >= 4  # the blocks hold something ...
    assert not any(feature.is_new for feature in evaluation.features)  # ... that both models have


def test_the_command_prints_every_key_and_takes_up_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "SCALE", TINY)
    monkeypatch.setattr(bench, "SETTINGS", BRIEF)
    printed = []
    for _ in range(2):
        bench.run([0], True, tmp_path / "out", tmp_path / "work", tmp_path / "toy.svg")
        printed.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert printed[0] == printed[1]  # even the seconds: nothing was measured a second time
    assert set(printed[0][-1]) == {
        "standard_recall",
        "dfc_recall",
        "dfc_precision",
        "filtered_precision",
        "filtered_recall_kept",
        "variance_explained_gap",
    }
    result = json.loads((tmp_path / "out" / "toy-quick.json").read_text())
    assert {row["form"] for row in result["rows"]} == {"standard", "strict"}
    lines = found_table(result["rows"], "sizes").splitlines()
    assert len(lines) == 2 + 2 and all(line.count("|") == lines[0].count("|") for line in lines)
    draw(result["rows"], tmp_path / "toy.svg")
    assert "dedicated features" in (tmp_path / "toy.svg").read_text()


def test_the_full_plan_has_every_size_the_other_space_and_the_null() -> None:
    planned = bench.plan(range(5), quick=False)
    assert len(planned) == 5 * (3 * 3 + 1 + 4) == len({cell.name for cell in planned})
    assert {cell.latents for cell in planned if cell.table == "sizes"} == {128, 256, 512}
    assert [cell.scale.exclusive_concepts for cell in planned if cell.table == "null"] == [0] * 5
