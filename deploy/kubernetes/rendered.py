"""The overlays as plain manifests, for those who have no Kustomize, and for the tests.

Each names the digest of what it was rendered from, so that a change of that which was not rendered
is told.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
RENDERED = HERE / "rendered"
OVERLAYS = sorted(path.name for path in (HERE / "overlays").iterdir())


def sources_digest() -> str:
    """SHA-256 (hex) of everything that the overlays are made of."""
    digest = hashlib.sha256()
    files = [path for place in ("base", "overlays") for path in (HERE / place).rglob("*.*")]
    for path in sorted(files):
        digest.update(f"{path.relative_to(HERE)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def render(overlay: str) -> None:
    """Write the manifest of `overlay`. Raises FileNotFoundError without kubectl, 1.27 or newer."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise FileNotFoundError(
            "kubectl is missing: install it, on Debian as root: apt-get install kubernetes-client"
        )
    done = subprocess.run(
        [kubectl, "kustomize", HERE / "overlays" / overlay],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    head = f"# `make manifests` has rendered this from overlays/{overlay}; edit that.\n"
    RENDERED.mkdir(exist_ok=True)
    written = f"{head}# sources: {sources_digest()}\n{done.stdout}"
    (RENDERED / f"{overlay}.yaml").write_text(written)


def rendered(overlay: str) -> list[dict[str, Any]]:
    """The objects of `overlay`. Raises ValueError where it was made from other sources."""
    path = RENDERED / f"{overlay}.yaml"
    text = path.read_text()
    if f"# sources: {sources_digest()}\n" not in text:
        raise ValueError(f"{path} was rendered from other sources; run `make manifests`")
    return list(yaml.safe_load_all(text))
