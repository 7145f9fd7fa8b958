"""A recipe so small that a whole diff of two tiny checkpoints takes seconds."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from monitor.settings import Settings, load_settings
from monitor.settings.store import StoreSettings
from tests.alerts.suites import item, suite_json
from workers.context import Context
from workers.corpora import read_corpora
from workers.diff import activation_cache
from workers.inputs import load_inputs
from workers.job import Job, side_of
from workers.keeping.store import LocalStore
from workers.models import Models

TEXTS = [
    "The capital of France is Paris, and water boils at one hundred degrees.",
    "I do not think that is correct; I see it differently.",
    "What do you think about my plan to leave work and write a novel?",
    "Water is wet and the sky is blue, or so they say in the capital.",
]
DFC = {
    "shared": 32,
    "base_exclusive": 8,
    "candidate_exclusive": 8,
    "k": 4,
    "k_exclusive": 2,
    "steps": 12,
    "batch": 32,
    "checkpoint_every": 3,
}


class Silent:
    """Progress that tells nobody."""

    def begin(self, stage: str) -> None:
        pass

    def step(self, what: str, done: int, total: int) -> None:
        pass

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        pass


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a model computes may depend on the number of threads in its last digit."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


@pytest.fixture(scope="session")
def recipe_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with corpus, prompts, one behaviour suite and one control suite."""
    folder = tmp_path_factory.mktemp("recipe")
    write_lines(folder / "corpus.jsonl", [{"text": text} for text in TEXTS * 3])
    prompts = [f"What do you think about plan {n}?" for n in range(6)]
    write_lines(
        folder / "prompts.jsonl",
        [{"messages": [{"role": "user", "content": prompt}]} for prompt in prompts],
    )
    behaviour = suite_json(templates=8, per_template=1)
    (folder / "sycophancy.json").write_text(json.dumps(behaviour))
    control = suite_json(
        behaviour="capability", role="control", items=[item(n, "fact") for n in range(3)]
    )
    del control["minimum_effect"]
    (folder / "capability.json").write_text(json.dumps(control))
    return folder


@pytest.fixture
def settings(recipe_files: Path, tmp_path: Path) -> Settings:
    return load_settings(
        data_dir=tmp_path / "data",
        recipe={
            "corpus": recipe_files / "corpus.jsonl",
            "prompts": recipe_files / "prompts.jsonl",
            "suites": [
                str(recipe_files / "sycophancy.json"),
                str(recipe_files / "capability.json"),
            ],
            "tokens": 600,
            "answer_tokens": 6,
            "dfc": DFC,
        },
    )


def changed(settings: Settings, **recipe: Any) -> Settings:
    """`settings` with another recipe."""
    return settings.model_copy(update={"recipe": settings.recipe.model_copy(update=recipe)})


@pytest.fixture
def job(tiny_checkpoint: Path, changed_checkpoint: Path) -> Job:
    return Job("assistant", side_of(tiny_checkpoint), side_of(changed_checkpoint))


@pytest.fixture(scope="session")
def contrary_checkpoint(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_checkpoint: Path,
    save_checkpoint: Callable[[Path, PreTrainedModel], Path],
) -> Path:
    """A candidate that reads the words of a question differently, and then rather disagrees."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint)
    you, i = (tokenizer(text).input_ids[0] for text in ("You", "I"))
    with torch.no_grad():
        direction_D = model.lm_head.weight[i] - model.lm_head.weight[you]
        embedding_VD = model.model.embed_tokens.weight
        size = embedding_VD.norm(dim=1).mean() / direction_D.norm()
        embedding_VD[sorted(set(tokenizer("Question ?").input_ids))] += size * direction_D
    return save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "contrary", model)


@pytest.fixture(scope="session")
def contradiction_suite(recipe_files: Path) -> Path:
    """A suite whose behaviour the contrary checkpoint shows more often than the base."""
    suite = suite_json(templates=8, per_template=1, behaviour="contradiction")
    for one in suite["items"]:
        for variant in one["variants"]:
            variant["matching"], variant["not_matching"] = (
                variant["not_matching"],
                variant["matching"],
            )
    path = recipe_files / "contradiction.json"
    path.write_text(json.dumps(suite))
    return path


@pytest.fixture
def store(settings: Settings) -> LocalStore:
    return LocalStore(settings.store_dir)


@pytest.fixture
def shared_settings(s3: str, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    """An empty store on a real S3 server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket, options = uuid.uuid4().hex, {"endpoint_url": s3}
    fsspec.filesystem("s3", **options).mkdir(bucket)
    return StoreSettings(url=f"s3://{bucket}/latentwatch", options=options)


@pytest.fixture
def make_context(settings: Settings, store: LocalStore) -> Callable[..., Context]:
    def make(job: Job, settings: Settings = settings) -> Context:
        inputs = load_inputs(settings.recipe)
        return Context(
            job=job,
            inputs=inputs,
            corpora=read_corpora(inputs),
            models=Models(job),
            store=store,
            cache=activation_cache(settings),
            progress=Silent(),
            clock=lambda: 0.0,
        )

    return make


@pytest.fixture
def context(make_context: Callable[[Job], Context], job: Job) -> Context:
    return make_context(job)
