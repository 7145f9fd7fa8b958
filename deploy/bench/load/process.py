"""One process of the service whose claims are timed: `python -m deploy.bench.load.process
watch|worker|reconcile CONFIG DIRECTORY NAME`. Nothing else differs from what `latentwatch` runs,
except that workers compare by `deploy.bench.fake_stages` and record what they write."""

import os
import sys
import time
from functools import wraps
from pathlib import Path
from typing import Any

from deploy.bench.service_process import serve
from monitor.jobs import diff_claims

CLAIMS = "claims"
"""Directory of the files with the seconds that claims took, waiting for the database included."""


def time_claims(directory: Path) -> None:
    """Note how long every claim of this process, and of those that it forks, takes."""
    claim_due = diff_claims.claim_due

    @wraps(claim_due)
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        claimed = claim_due(*args, **kwargs)
        with (directory / str(os.getpid())).open("a") as stream:
            stream.write(f"{time.perf_counter() - began}\n")
        return claimed

    diff_claims.claim_due = timed


if __name__ == "__main__":
    time_claims(Path(sys.argv[3]) / CLAIMS)
    serve(sys.argv[1], Path(sys.argv[2]), sys.argv[4], 0.0)
