"""`python -m deploy.kubernetes`: render every overlay."""

import sys

from deploy.kubernetes.rendered import OVERLAYS, render

if __name__ == "__main__":
    try:
        for overlay in OVERLAYS:
            render(overlay)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
