"""A training run says that a checkpoint is complete, so that it is checked at once.

Free of torch and of settings: it runs in the training's process, where latentwatch is a guest.
"""

import json
import logging
import os
import time
import urllib.request
import uuid
from http.client import HTTPException
from pathlib import Path

from alerts.destinations.standard_webhooks import signed_headers
from monitor.checkpoints.checkpoint import looks_complete
from monitor.errors import CheckpointRefusedError
from monitor.webhooks import generic_key

MARKER = "_SUCCESS"
TIMEOUT_SECONDS = 10.0

logger = logging.getLogger(__name__)


def announce(
    checkpoint: Path | str, *, marker: str = MARKER, url: str | None = None, secret: str = ""
) -> bool:
    """Mark `checkpoint` as complete, and wake the watch at `url` if one is given.

    Call it after everything is written. Under torchrun only rank 0 does it; whether it was done is
    returned. A watch that can't be woken is logged and finds the checkpoint at its next look.
    Raises CheckpointRefusedError where weights, configuration or tokenizer are not there.
    """
    if os.environ.get("RANK", "").strip() not in ("", "0"):
        return False
    path = Path(checkpoint)
    names = {file.name for file in path.iterdir()} if path.is_dir() else set()
    if not looks_complete(names):
        raise CheckpointRefusedError(
            f"{path} can't be announced: weights in safetensors, config.json and tokenizer.json "
            "must be in it; save the tokenizer there too (Trainer does with processing_class)"
        )
    (path / marker).touch()
    if url is not None:
        _wake(url, secret, path.name)
    return True


def _wake(url: str, secret: str, name: str) -> None:
    try:
        body = json.dumps({"type": "checkpoint.published", "name": name}).encode()
        headers = {"Content-Type": "application/json"}
        if secret:
            headers |= signed_headers(generic_key(secret), uuid.uuid4().hex, int(time.time()), body)
        request = urllib.request.Request(url, body, headers)
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()
    except (OSError, ValueError, HTTPException) as error:
        logger.warning("the watch at %s can't be woken (%s); it looks by itself later", url, error)
