"""`python -m deploy.grafana` writes the dashboards that Grafana provisions."""

import json
from pathlib import Path

from deploy.grafana.fleet import FLEET
from deploy.grafana.line import LINE
from deploy.grafana.panel import to_grafana
from deploy.grafana.service import SERVICE

DASHBOARDS = (FLEET, LINE, SERVICE)
DIRECTORY = Path(__file__).parent / "dashboards"


def rendered() -> dict[str, str]:
    """The JSON of every dashboard by file name."""
    return {
        f"{dashboard.uid}.json": json.dumps(to_grafana(dashboard), indent=1) + "\n"
        for dashboard in DASHBOARDS
    }


if __name__ == "__main__":
    for name, content in rendered().items():
        (DIRECTORY / name).write_text(content)
