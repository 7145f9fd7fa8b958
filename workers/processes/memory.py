"""Failures for want of memory, told so that an operator knows what to do."""

import re

_NAMED = re.compile(
    r"(?:\bRuntimeError: [^\n]{0,80}?)?"  # as which torch raises what its allocator says
    r"\b(OutOfMemoryError|MemoryError|DefaultCPUAllocator|OSError(?=: \[Errno 12\])): ?"
    r"([^.\n]{0,160})"
)
"""As in `OutOfMemoryError: CUDA out of memory. Tried to allocate ...`, whoever raised it."""


def want_of_memory(failure: str) -> str | None:
    """What to say of `failure` if memory was wanting; None where it was something else.

    `failure` holds the error's type and message, as `TYPE: MESSAGE`.
    """
    found = _NAMED.search(failure)
    if found is None:
        return None
    where = failure[: found.start()].rstrip(": ").removesuffix(" failed")
    on = "the GPU" if found[1] == "OutOfMemoryError" else "the host"
    said = found[2].strip() or found[1]
    place = f", in {where[:1].lower()}{where[1:]}" if where else ""
    return (
        f"too little memory on {on}{place} ({said}); "
        "see that nothing else runs there, or compare where there is more"
    )
