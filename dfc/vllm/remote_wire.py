"""What a client and a server of the vLLM engine tell each other: JSON, checked by its types."""

from typing import NamedTuple

from pydantic import ConfigDict, TypeAdapter

from dfc.vllm.batch import Batch, Facts, Outcome
from dfc.vllm.wire import Packed

PREFIX = "/v1/latentwatch"
"""vLLM asks for its API key below /v1 alone."""


class Introduction(NamedTuple):
    """What a server says of itself."""

    facts: Facts
    weights: dict[str, str]
    """Of `dfc.vllm.weights.weight_digests`."""


_BYTES = ConfigDict(
    ser_json_bytes="base64",
    val_json_bytes="base64",
    ser_json_inf_nan="constants",  # the log-probability of a word that can't be written
)
BATCH = TypeAdapter(Batch, config=_BYTES)
OUTCOME = TypeAdapter(Outcome, config=_BYTES)
STATES = TypeAdapter(Packed, config=_BYTES)
INTRODUCTION = TypeAdapter(Introduction)
