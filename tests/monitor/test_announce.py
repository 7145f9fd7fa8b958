"""A training run by transformers' Trainer, whose checkpoints a watch finds complete at once."""

import logging
import time
from pathlib import Path
from threading import Event

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Trainer,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from deploy.bench.made_up import write_checkpoint
from monitor.announce import announce
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.errors import CheckpointRefusedError
from monitor.settings.webhooks import WebhookSettings
from monitor.sources.readiness import Ready, Rule, look, readiness
from monitor.trainer_callback import AnnounceCallback
from monitor.watching.webhook_server import listening
from tests.services import free_port

SECRET = "a secret of 16 or more"


def test_a_trainer_announces_what_it_saves(tiny_checkpoint: Path, tmp_path: Path) -> None:
    rung, port = Event(), free_port()
    settings = WebhookSettings(host="127.0.0.1", port=port, secret=SECRET)
    with listening(settings, rung.set):
        url = f"http://127.0.0.1:{port}/v1/events"
        trainer = Trainer(
            model=AutoModelForCausalLM.from_pretrained(tiny_checkpoint),
            processing_class=AutoTokenizer.from_pretrained(tiny_checkpoint),
            args=TrainingArguments(
                tmp_path / "run", max_steps=2, save_steps=1, report_to="none", use_cpu=True
            ),
            train_dataset=[{"input_ids": torch.arange(8), "labels": torch.arange(8)}] * 4,
            callbacks=[AnnounceCallback(url=url, secret=SECRET)],
        )
        trainer.train()
        assert rung.wait(10.0)
    for name in ("checkpoint-1", "checkpoint-2"):
        found = inspect_checkpoint(tmp_path / "run" / name)
        sight = look(None, found.listing, time.time())
        assert isinstance(readiness(sight, Rule("_SUCCESS", 0.0, 0), time.time()), Ready)


def test_only_rank_zero_announces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = write_checkpoint(tmp_path / "step-1", seed=0)
    monkeypatch.setenv("RANK", "1")
    assert announce(checkpoint) is False and not (checkpoint / "_SUCCESS").exists()
    monkeypatch.setenv("RANK", "0")
    assert announce(checkpoint) is True and (checkpoint / "_SUCCESS").exists()


def test_what_is_not_whole_is_not_announced(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "step-1", seed=0)
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(CheckpointRefusedError, match=r"step-1 can't be announced.*tokenizer\.json"):
        announce(checkpoint)
    assert not (checkpoint / "_SUCCESS").exists()
    with pytest.raises(CheckpointRefusedError, match="absent can't be announced"):
        announce(tmp_path / "absent")


def test_a_watch_that_is_away_stops_no_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = write_checkpoint(tmp_path / "step-1", seed=0)
    with caplog.at_level(logging.WARNING):
        assert announce(checkpoint, url=f"http://127.0.0.1:{free_port()}/v1/events", secret=SECRET)
    assert "it looks by itself later" in caplog.text and SECRET not in caplog.text


def test_a_secret_that_cannot_sign_stops_no_training_but_its_callback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = write_checkpoint(tmp_path / "step-1", seed=0)
    with caplog.at_level(logging.WARNING):
        assert announce(checkpoint, url="http://127.0.0.1:1/v1/events", secret="whsec_no base64")
    assert "what follows whsec_ must be base64" in caplog.text
    with pytest.raises(ValueError, match="must be base64"):
        AnnounceCallback(secret="whsec_no base64")


def test_an_empty_rank_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "")
    assert announce(write_checkpoint(tmp_path / "step-1", seed=0)) is True


def test_a_trainer_that_saves_no_tokenizer_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint-1", seed=0)
    (checkpoint / "tokenizer.json").unlink()
    arguments = TrainingArguments(tmp_path, report_to="none", use_cpu=True)
    state = TrainerState(global_step=1, is_world_process_zero=True)
    AnnounceCallback().on_save(arguments, state, TrainerControl())
    assert "checkpoint-1 can't be announced" in caplog.text
    assert not (checkpoint / "_SUCCESS").exists()
