"""What an operator can set about how much the process that compares may take."""

from pydantic import BaseModel, Field

from monitor.settings.table import TABLE


class LimitSettings(BaseModel):
    """Limits that the kernel holds a comparing process of a worker to."""

    model_config = TABLE

    file_bytes: int = Field(default=20 * 2**30, ge=2**20)
    """Largest file that it may write."""
    open_files: int = Field(default=4096, ge=256)
    """Most files that it may have open at once."""
    memory_bytes: int | None = Field(default=None, ge=4 * 2**30)
    """Most address space, where it sees no GPU: CUDA reserves far more than it uses. It is more
    than the memory in use, too: mapped weights and libraries count."""
    training_processes: int = Field(default=1, ge=1)
    """Processes that train a crosscoder together, each on a GPU of its own where the worker sees so
    many, else on the CPU. `dfc.batch` has to be a multiple of it."""
