"""For trainings by transformers' Trainer: every checkpoint that it saves is announced."""

import logging
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from monitor.announce import MARKER, announce
from monitor.errors import CheckpointRefusedError, SourceError
from monitor.webhooks import generic

logger = logging.getLogger(__name__)


class AnnounceCallback(TrainerCallback):
    """`Trainer(..., callbacks=[AnnounceCallback()])`; the line watches the trainer's output_dir."""

    def __init__(self, *, marker: str = MARKER, url: str | None = None, secret: str = "") -> None:
        """As `announce` takes them. Raises ValueError for a secret that can't sign."""
        generic(secret)
        self._marker, self._url, self._secret = marker, url, secret

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Never ends the training: what can't be announced is logged."""
        if not state.is_world_process_zero:
            return
        saved = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        try:
            announce(saved, marker=self._marker, url=self._url, secret=self._secret)
        except (CheckpointRefusedError, SourceError, OSError) as error:
            logger.error("%s", error)
