"""What an operator can set about the store that several hosts share."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from monitor.settings.sources import STORES, StoreOptions, store_url
from monitor.settings.table import TABLE, Seconds


def _shared_url(url: str) -> str:
    return store_url(url, tuple(scheme for scheme in STORES if scheme != "memory"))


class StoreSettings(BaseModel):
    """Where results are kept for all hosts; without a URL each keeps its own in `store_dir`."""

    model_config = TABLE

    url: Annotated[str, AfterValidator(_shared_url)] | None = None
    """Such as `s3://bucket/prefix`; `store_dir` then holds copies."""
    options: StoreOptions = {}
    """For the store's client, such as `endpoint_url`. Secrets come from the environment."""
    copies_bytes: int = Field(default=50 * 2**30, ge=0)
    """Most that results in `store_dir` may take on disk, besides those in use; what was used
    longest ago makes room, and is computed again, or brought where a store is shared."""
    save_seconds: Seconds = 60.0
    """How often what a running comparison has saved is carried to the store."""
