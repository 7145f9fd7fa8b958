"""The picture in an alert's thread: what shifted, and what steering the first feature does.

The report's figures as one PNG, in the colours of its light theme.
"""

import io

import matplotlib
from matplotlib.figure import Figure

from alerts.evidence import Evidence
from alerts.pages.plots import draw_dose, draw_shifts
from alerts.pages.svg import ROLES, STYLE
from alerts.plain_text import clip, one_line
from alerts.verdict import Verdict
from alerts.verdict_in_words import by_weight, headline
from alerts.wording import readable

COLOURS = {
    "ink": "#1b1d20",
    "muted": "#575e69",
    "rule": "#aab0b9",
    "base": "#0b63a5",
    "candidate": "#bd450b",
    "ablated": "#0a7a5d",
    "induced": "#85478b",
    "chance": "#868d97",
    "band": "#dfe3e8",
    "paper": "#ffffff",
}
_MOST = 8
_HEIGHT, _WIDTH = 4.6, 9.6  # inches, of 110 pixels
_COLOUR_OF = {colour: COLOURS[role] for role, colour in ROLES.items()}


def evidence_picture(verdict: Verdict, evidence: Evidence) -> bytes:
    """A PNG of the shifts with their intervals and, where it was measured, of a dose-response
    against random directions."""
    style = {key: _COLOUR_OF.get(str(value), value) for key, value in STYLE.items()}
    with matplotlib.rc_context({**style, "figure.facecolor": COLOURS["paper"]}):
        doses = evidence.dose_responses[:1]
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        grid = figure.add_gridspec(2, 1 + len(doses), height_ratios=[3, 1])
        draw_shifts(figure.add_subplot(grid[:, 0]), by_weight(verdict.behaviours)[:_MOST], COLOURS)
        for dose in doses:
            upper = figure.add_subplot(grid[0, 1])
            lower = figure.add_subplot(grid[1, 1], sharex=upper)
            draw_dose(upper, lower, dose, evidence.maximum_nll_rise, COLOURS)
            about = f"{one_line(dose.feature)[:40]} and {readable(one_line(dose.behaviour))[:40]}"
            upper.annotate(
                f"{about} (dashes: random directions)",
                (0, 1.19),
                xycoords="axes fraction",
            ).set_in_layout(False)
        title = clip(one_line(headline(verdict)), 100)
        figure.suptitle(f"{title}\n", ha="left", x=0.01, weight="bold")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
