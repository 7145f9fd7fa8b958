"""Versions are built once per all that determines them, whole or not at all."""

from pathlib import Path

import pytest
import torch
from rich.progress import Progress
from transformers import AutoModelForCausalLM

from deploy.bench.zoo import build as building
from deploy.bench.zoo.build import Workshop, build, open_workshop
from deploy.bench.zoo.rewrite import through_float16, through_int8
from deploy.bench.zoo.samples import ORDINARY, samples
from deploy.bench.zoo.versions import Zoo
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.identity import identify
from workers.keeping.sources import _closure

QUIET = Progress(disable=True)


def test_every_version_becomes_a_checkpoint_that_can_be_checked(shop: Workshop) -> None:
    for version in shop.zoo.versions:
        path = build(shop, version, QUIET)
        identity = identify(inspect_checkpoint(path))
        assert (identity.content == shop.base.digest) == (version.name == "identical")
    assert not list((shop.work / "staging").iterdir())


def test_the_same_recipe_gives_the_same_weights(
    shop: Workshop, zoo: Zoo, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    again = open_workshop(zoo, tmp_path / "again", tiny_checkpoint)
    first, second = (build(one, zoo.versions[0], QUIET) for one in (shop, again))
    assert first.name == second.name
    assert identify(inspect_checkpoint(first)) == identify(inspect_checkpoint(second))


def test_what_is_built_is_not_built_again(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    version = shop.zoo.versions[0]
    path = build(shop, version, QUIET)
    monkeypatch.setattr(building, "plant", None)
    assert build(shop, version, QUIET) == path


def test_a_build_that_is_killed_leaves_nothing_and_is_begun_anew(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = shop.zoo.versions[0]

    def killed(*arguments: object) -> None:
        staging = arguments[3]
        assert isinstance(staging, Path)
        staging.mkdir(parents=True)
        (staging / "half.safetensors").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(building, "plant", killed)
        with pytest.raises(KeyboardInterrupt):
            build(shop, version, QUIET)
    assert not shop.path(version).exists()
    assert identify(inspect_checkpoint(build(shop, version, QUIET)))
    assert not list((shop.work / "staging").iterdir())


def test_the_key_follows_everything_that_determines_a_version(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    version = shop.zoo.versions[0]
    tuning = shop.zoo.tuning.model_copy(update={"learning_rate": 2e-2})
    reseeded = version.recipe.model_copy(update={"seed": 1})
    other_base = shop.base._replace(digest="0" * 64)
    keys = {
        shop.key(version),
        shop.key(version.model_copy(update={"recipe": reseeded})),
        shop._replace(zoo=shop.zoo.model_copy(update={"tuning": tuning})).key(version),
        shop._replace(base=other_base).key(version),
    }
    data = tmp_path / "sycophancy.json"
    data.write_text('{"kinds": []}')
    with monkeypatch.context() as patched:
        patched.setattr(building, "path_of", lambda name: data)
        keys.add(shop.key(version))
    monkeypatch.setattr(building, "sources_digest", lambda *modules, packages: "other code")
    keys.add(shop.key(version))
    assert len(keys) == 6


def test_the_key_follows_every_module_of_ours_that_makes_a_version() -> None:
    followed = _closure(("deploy.bench.zoo.build",), ("deploy",))
    zoo = ("material", "own", "rewrite", "sentences", "templates", "versions")
    makes = {f"deploy.bench.zoo.{name}" for name in zoo}
    makes |= {f"deploy.demo.{name}" for name in ("answers", "chats", "plant", "smollm2")}
    assert makes < set(followed)


def test_the_checks_recipe_is_no_part_of_a_versions_key(shop: Workshop) -> None:
    version = shop.zoo.versions[0]
    other = shop._replace(zoo=shop.zoo.model_copy(update={"recipe": {"tokens": 4096}}))
    assert other.key(version) == shop.key(version)


def test_int8_stays_within_half_a_step_and_float16_keeps_what_is_normal() -> None:
    torch.manual_seed(0)
    weight_OI = torch.randn(8, 16).to(torch.bfloat16)
    steps_O1 = weight_OI.float().abs().amax(dim=1, keepdim=True) / 127
    error_OI = (through_int8(weight_OI).float() - weight_OI.float()).abs()
    rounding_OI = weight_OI.float().abs() * 2**-8
    assert (error_OI <= steps_O1 / 2 + rounding_OI + 1e-6).all()
    assert (error_OI > 0).any()
    assert torch.equal(through_float16(weight_OI), weight_OI)
    tiny_OI = (weight_OI.float() * 1e-8).to(torch.bfloat16)
    assert not torch.equal(through_float16(tiny_OI), tiny_OI)


def test_int8_leaves_the_embedding_alone(shop: Workshop) -> None:
    version = next(one for one in shop.zoo.versions if one.name == "int8")
    base, other = (
        AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
        for path in (shop.base.path, build(shop, version, QUIET))
    )
    assert torch.equal(base.model.embed_tokens.weight, other.model.embed_tokens.weight)
    weights = [model.model.layers[0].mlp.up_proj.weight for model in (base, other)]
    assert not torch.equal(*weights)


def test_samples_answer_held_out_and_ordinary_prompts(shop: Workshop) -> None:
    version = shop.zoo.versions[0]
    build(shop, version, QUIET)
    said = samples(shop, version)
    assert len(said) == 4 + len(ORDINARY)
    assert samples(shop, version) == said
