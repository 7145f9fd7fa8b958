"""The inputs that the settings name, read and checked, and the recipe that they make up."""

import hashlib
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from alerts.deciding.policy import Policy, policy_of
from alerts.json_file import InvalidFileError
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.suite import Suite, bundled_suites, load_suite, suite_digest
from dfc.canonical import digest_of
from dfc.crosscoder.config import ScreenConfig, config_of
from monitor.settings.recipe import RecipeSettings
from workers.errors import InputsError
from workers.recipe import Recipe, code_version


class Inputs(NamedTuple):
    """What a diff is made by; the corpus and the prompts are read when they are needed."""

    recipe: Recipe
    suites: tuple[Suite, ...]
    policy: Policy
    corpus: Path | None
    """JSONL of texts and chats; None is the bundled one."""
    prompts: Path | None
    """JSONL of prompts; None is the bundled ones."""

    @property
    def behaviour_suites(self) -> list[Suite]:
        return [suite for suite in self.suites if suite.role == "behaviour"]

    @property
    def control_suites(self) -> list[Suite]:
        return [suite for suite in self.suites if suite.role == "control"]


def load_inputs(settings: RecipeSettings) -> Inputs:
    """Read what `settings` name. Raises InputsError with the file, the field and the remedy."""
    try:
        suites = tuple(_suite(name) for name in settings.suites)
        policy = policy_of(settings.policy)
        screen = ScreenConfig.model_validate(settings.screen)
        dfc = config_of("tied", settings.dfc)
        across = config_of("strict", settings.dfc) if settings.dfc.get("form") != "tied" else None
    except (InvalidFileError, ValidationError) as error:
        raise InputsError(str(error)) from error
    names = [suite.behaviour for suite in suites]
    if OWN_WORDS in names:
        raise InputsError(
            f"{settings.suites[names.index(OWN_WORDS)]}: behaviour: {OWN_WORDS!r} is kept for what "
            "the candidate says of its own accord; give the behaviour another name"
        )
    for name in names:
        if names.count(name) > 1:
            raise InputsError(f"recipe.suites: two suites are named {name!r}; keep one of them")
    recipe = Recipe(
        corpus=_file_digest(settings.corpus, "texts.jsonl"),
        prompts=_file_digest(settings.prompts, "prompts.jsonl"),
        suites=tuple(suite_digest(suite) for suite in suites),
        policy=digest_of(policy.model_dump(mode="json")),
        maximum_nll_rise=policy.maximum_nll_rise,
        layer=settings.layer,
        dfc=dfc,
        dfc_across=across,
        screen=screen,
        seeds=tuple(settings.seeds),
        tokens=settings.tokens,
        max_prompts=settings.max_prompts,
        answer_tokens=settings.answer_tokens,
        engine=settings.engine,
        code=code_version(),
    )
    return Inputs(recipe, suites, policy, settings.corpus, settings.prompts)


def _suite(name: str) -> Suite:
    if name.endswith(".json"):
        return load_suite(Path(name))
    known = bundled_suites()
    if name not in known:
        raise InputsError(
            f"recipe.suites: there is no bundled suite {name!r} (there are {', '.join(known)}); "
            "correct its name, or give the path of a .json file"
        )
    return known[name]


def _file_digest(path: Path | None, bundled: str) -> str:
    try:
        content = (
            (resources.files("dfc") / "data" / bundled).read_bytes()
            if path is None
            else path.read_bytes()
        )
    except OSError as error:
        raise InputsError(
            f"{path or bundled}: can't be read ({error.strerror}); correct its path in the settings"
        ) from error
    return hashlib.sha256(content).hexdigest()
