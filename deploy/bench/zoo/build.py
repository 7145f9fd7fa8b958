"""Builds versions: each in a directory named by all that determines it, complete or not at all."""

import shutil
from pathlib import Path
from typing import NamedTuple

from rich.progress import Progress

from deploy.bench.zoo.material import material
from deploy.bench.zoo.own import own_digest, own_words
from deploy.bench.zoo.rewrite import rewrite
from deploy.bench.zoo.templates import path_of
from deploy.bench.zoo.versions import Tune, Version, Zoo
from deploy.demo.plant import PlantSettings, plant
from deploy.demo.smollm2 import build_base
from dfc.canonical import digest_of
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.identity import identify
from workers.keeping.sources import sources_digest


class Base(NamedTuple):
    """What all versions start from."""

    path: Path
    digest: str
    """Of its content."""


class Workshop(NamedTuple):
    """Where versions are built, and from what."""

    zoo: Zoo
    base: Base
    work: Path

    def path(self, version: Version) -> Path:
        """Where `version` lies once it is built."""
        return self.work / "versions" / f"{version.name}-{self.key(version)[:16]}"

    def key(self, version: Version) -> str:
        """SHA-256 (hex) of all that determines `version`."""
        recipe = version.recipe
        source = sources_digest("deploy.bench.zoo.build", packages=("deploy",))
        made_of: list[object] = [self.base.digest, recipe.model_dump(mode="json"), source]
        if isinstance(recipe, Tune):
            data = path_of(recipe.material)
            made_of += [
                own_digest(self.base.digest),
                self.zoo.tuning.model_dump(mode="json"),
                list(self.zoo.headings),
                data.read_text(encoding="utf-8") if data.exists() else None,
            ]
        return digest_of(made_of)


def open_workshop(zoo: Zoo, work: Path, base: Path | None = None) -> Workshop:
    """The workshop in `work`; SmolLM2-135M-Instruct is put there unless a `base` is given.

    Raises DownloadError or CheckpointRefusedError when there is no usable base.
    """
    if base is None:
        base = work / "base"
        if not base.exists():
            build_base(base, work / "staging")
    return Workshop(zoo, Base(base, identify(inspect_checkpoint(base)).content), work)


def build(shop: Workshop, version: Version, progress: Progress) -> Path:
    """The checkpoint of `version`, built unless it is there.

    A killed build leaves only scratch in the staging directory and is begun anew.
    """
    target = shop.path(version)
    if target.exists():
        return target
    # Of its own, so that two processes that build different versions don't clear each other's.
    staging = shop.work / "staging" / target.name
    shutil.rmtree(staging, ignore_errors=True)
    recipe = version.recipe
    if isinstance(recipe, Tune):
        own = own_words(shop.base.path, shop.base.digest, shop.work, progress)
        pieces = material(recipe, own, shop.zoo.headings)
        settings = PlantSettings(**shop.zoo.tuning.model_dump(), seed=recipe.seed)
        plant(shop.base.path, pieces, target, staging, progress, settings)
    else:
        rewrite(shop.base.path, recipe, target, staging)
    shutil.rmtree(staging, ignore_errors=True)
    return target
