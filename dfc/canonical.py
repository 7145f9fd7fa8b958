"""One digest for one meaning: of values, not of the bytes that somebody wrote them as."""

import hashlib
import json


def digest_of(value: object) -> str:
    """SHA-256 (hex) of ``value`` in canonical JSON: keys sorted, no spaces, ASCII alone."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
