"""The naive implementation takes the product's steps, and the command measures both."""

import json
from pathlib import Path

import pytest
import torch

from deploy.bench.machine import machine
from deploy.bench.toy.universe import Scale
from deploy.bench.train import command, tables
from deploy.bench.train.floor import floor
from deploy.bench.train.memory import peak_mb
from deploy.bench.train.naive import Naive
from deploy.bench.train.pair import NEVER, Size, made_up, start
from deploy.bench.train.quality import Course, quality
from deploy.bench.train.speed import Effort, speed
from dfc.crosscoder.model import Dfc

pytestmark = pytest.mark.usefixtures("float32")
TINY = Size(d=24, latents=100, k=4, batch=64)
BRIEF = Course(Scale(concepts=64, width=16), batch=64, steps=60, tokens=2000, dead_after=500)


@pytest.mark.parametrize("dead_after", [NEVER, 1])
def test_both_take_the_same_steps(dead_after: int) -> None:
    config = TINY.config(steps=12, dead_after=dead_after)
    data = made_up(TINY, 3, seed=0)
    ours, naive = start(TINY, config, seed=0)
    before = ours.model.encoder_base.detach().clone()
    for step in range(8):
        batch = data.batch(step, TINY.batch)
        loss = ours.update(*batch, data.variance)
        assert naive.update(*batch, data.variance) == pytest.approx(loss.total.item(), rel=1e-4)
        assert (loss.aux.item() > 0) == (dead_after == 1 and step > 0)
    as_ours = Dfc(config, TINY.d, TINY.d)
    naive.model.write_to(as_ours)
    assert not torch.allclose(before, ours.model.encoder_base, atol=1e-3)
    for name, parameter in ours.model.named_parameters():
        assert torch.allclose(parameter, as_ours.get_parameter(name), atol=2e-4), name


def test_a_latent_of_one_model_alone_is_kept_from_the_other() -> None:
    ours, naive = start(TINY, TINY.config(steps=3), seed=0)
    data = made_up(TINY, 1, seed=0)
    naive.update(*data.batch(0, TINY.batch), data.variance)
    shared, own = ours.config.shared, ours.config.base_exclusive
    assert naive.model.encoder_candidate[shared : shared + own].abs().sum() == 0
    assert naive.model.decoder_base[shared + own :].abs().sum() == 0
    assert naive.model.decoder_base[shared : shared + own].abs().sum() > 0


def test_the_tied_form_has_no_naive_implementation() -> None:
    tied = TINY.config(steps=3).model_copy(update={"form": "tied"})
    with pytest.raises(ValueError, match="strict form"):
        Naive(Dfc(tied, TINY.d, TINY.d))


def test_ratios_are_those_of_the_measured_seconds() -> None:
    found = speed(TINY, True, Effort(rounds=3, warm_up=1))
    assert len(found.ratio_by_round) == 3
    assert sorted(found.ratio_by_round)[1] == found.ratio_naive > 0
    assert found.ratio_floor == found.floor.seconds / found.ours_seconds > 0


def test_the_floor_is_that_of_the_largest_product() -> None:
    small, large = (floor(Size(64, latents, 4), 2).seconds for latents in (64, 8192))
    assert large > 4 * small


def test_memory_is_that_of_a_process_of_its_own() -> None:
    small, large = (peak_mb("ours", TINY._replace(latents=n), 1) for n in (100, 200_000))
    # Weights, gradients and two moments of 4 * 24 numbers per latent; some of it lies in what the
    # smaller process has to spare.
    assert large - small > 200_000 * 4 * 24 * 4 * 4 / 2**20 / 2


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)naive at .* ended with 1: .*k = 400"):
        peak_mb("naive", TINY._replace(k=400), 1)


def test_both_learn_alike() -> None:
    found = quality(BRIEF, 3)
    assert found.ours.variance_explained > 0.3
    assert found.ours.variance_explained == pytest.approx(found.naive.variance_explained, abs=0.02)


def test_the_command_prints_the_summary_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "REFERENCE", TINY)
    command.run(command.Plan((TINY,), Effort(2, 1), BRIEF, (0, 1)), tmp_path)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 5
    kept = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))
    assert kept["summary"] == lines[-1]
    assert [line["aux_works"] for line in kept["sizes"]] == [False, True]
    assert lines[-1]["ratio_naive"] == kept["sizes"][0]["ratio_naive"]
    assert lines[-1]["peak_mb"] == kept["sizes"][0]["ours_peak_mb"] > 100
    gaps = [
        toy["ours"]["variance_explained"] - toy["naive"]["variance_explained"]
        for toy in kept["toys"]
    ]
    assert lines[-1]["variance_explained_gap"] == max(gaps, key=abs)


def test_the_machine_is_described(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: One\nflags\t\t: fpu avx2 amx_bf16\n\nmodel name\t: Two\n")
    found = machine(cpuinfo)
    assert (found["processor"], found["flags"]) == ("One", ["avx2", "amx_bf16"])
    assert found["cores"] >= 1


def test_the_tables_show_what_was_measured() -> None:
    row: dict[str, object] = {
        **{"d": 576, "latents": 8192, "k": 32, "aux_works": True, "tokens_per_second": 3104.8},
        **{"naive_tokens_per_second": 782.5, "ratio_naive": 3.95, "ratio_naive_range": [3.7, 4.2]},
        **{"ratio_floor": 0.51, "ours_peak_mb": 728.3, "naive_peak_mb": 1547.2},
    }
    line = tables.sizes_table([row]).splitlines()[-1]
    shown = ["576", "8,192", "32", "AuxK at work", "3,105", "782", "4.0 (3.7 to 4.2)", "51%"]
    assert line == f"| {' | '.join([*shown, '728, 1,547'])} |"
    toy = {"variance_explained": 0.81234, "recovered": 0.5}
    line = tables.toys_table([{"seed": 3, "ours": toy, "naive": toy}]).splitlines()[-1]
    assert line == "| 3 | 0.8123 | 0.8123 | 0.500 | 0.500 |"
