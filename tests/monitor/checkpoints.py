"""Small checkpoint directories that are complete in form, made without torch."""

from deploy.bench.made_up import (
    CONFIG,
    TOKENIZER,
    edit_json,
    make_tensors,
    write_checkpoint,
    write_json,
)

__all__ = ["CONFIG", "TOKENIZER", "edit_json", "make_tensors", "write_checkpoint", "write_json"]
