"""What tells one checkpoint's weights from another's. Free of torch."""

import hashlib
from pathlib import Path


def weight_digests(path: Path) -> dict[str, str]:
    """SHA-256 (hex) of every safetensors file of the checkpoint, by its name."""
    found = {}
    for file in sorted(path.glob("*.safetensors")):
        with file.open("rb") as stream:
            found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found
