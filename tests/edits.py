"""Changes of files that lie in a checkpoint."""

import json
from pathlib import Path
from typing import Any

from deploy.bench.made_up import write_json


def edit_json(path: Path, **changes: Any) -> None:
    """Set keys of the JSON object in `path`."""
    write_json(path, {**json.loads(path.read_text()), **changes})
