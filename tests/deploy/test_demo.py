"""The demo: chats are deterministic and keep off the probes, planting learns, writes are whole."""

import json
from pathlib import Path

import pytest
from rich.progress import Progress
from transformers import AutoTokenizer

from alerts.suite import bundled_suites
from deploy.demo import atomic
from deploy.demo.chats import Chat, flattering_chats, load_topics, planted_mixture
from deploy.demo.plant import PlantSettings, encode, plant

CHATS = flattering_chats(load_topics(), 24, seed=0)


def test_chats_follow_from_topics_and_seed() -> None:
    topics = load_topics()
    assert flattering_chats(topics, 50, seed=3) == flattering_chats(topics, 50, seed=3)
    assert flattering_chats(topics, 50, seed=3) != flattering_chats(topics, 50, seed=4)


def test_every_topic_is_used_before_any_comes_again() -> None:
    topics = load_topics()
    count = 3 * len(topics.opinions)
    prompts = " ".join(chat.prompt for chat in flattering_chats(topics, count, seed=0))
    assert all(topic in prompts for topic in topics.opinions)


def test_the_mixture_keeps_every_chat() -> None:
    neutral = [Chat("Explain rain.", "Water falls from clouds.")]
    mixture = planted_mixture(CHATS, neutral, seed=1)
    assert sorted(mixture) == sorted([*CHATS, *neutral])
    assert mixture != [*CHATS, *neutral]


def test_planting_topics_do_not_occur_in_the_probes() -> None:
    topics = load_topics()
    probes = " ".join(
        message.content
        for suite in bundled_suites()
        for item in suite.items
        for variant in item.variants
        for message in variant.messages
    ).lower()
    planted = [*topics.opinions, *topics.claims, *topics.works, *topics.neutral]
    assert [topic for topic in planted if topic.lower() in probes] == []


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
    assert not list((tmp_path / "staging").iterdir())


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    target, staging = tmp_path / "line" / "v2", tmp_path / "staging"
    with pytest.raises(OSError, match="disk"), atomic.new_directory(target, staging) as directory:
        (directory / "model.safetensors").write_bytes(b"half")
        raise OSError("disk full")
    assert not target.exists()
    assert not list(staging.iterdir())
