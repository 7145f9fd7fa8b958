"""The terminal's view of a calibration."""

from rich.console import Group, RenderableType

from alerts.deciding.calibration import Calibration, calibration_digest
from alerts.deciding.nulls import LEAST_RELEASES, ScoreNulls
from alerts.wording import number, percent, probability, readable, short_digest
from monitor.terminal.tables import add_row, moment, new_table, plain

_DIGITS = 3


def calibration_view(calibration: Calibration) -> RenderableType:
    """What every score does when nothing has changed, and what was left out."""
    table = new_table(
        "score",
        "noise floor",
        "largest null",
        "threshold",
        "by",
        "releases stay below",
        "copies",
        "releases",
        "least p",
        "reseeding",
    )
    for name, nulls in calibration.scores.items():
        add_row(table, readable(name), *_figures(nulls))
    base, when = calibration.base, moment(calibration.created_at)
    left_out = [plain(f"Not counted: {sentence}") for sentence in calibration.left_out]
    return Group(
        plain(f"Line {calibration.line}: {base.locator} ({short_digest(base.digest)}), {when}"),
        table,
        *left_out,
        plain(
            "Identical weights scored exactly alike. A flagged shift exceeds the threshold, in "
            "nats per token, beside the policy's other conditions. What releases stay below, from "
            f"{LEAST_RELEASES} of them on, is the least effect where the suite's own is more (but "
            "never less than the policy's minimum_calibrated_effect). Reseeding is how far another "
            "seed of the resampling moves the lower end of an interval, as a part of half its "
            "width. "
            f"Calibration {short_digest(calibration_digest(calibration))}."
        ),
    )


def _figures(nulls: ScoreNulls) -> list[str]:
    return [
        number(nulls.noise_floor, _DIGITS),
        number(max(nulls.counted, default=None), _DIGITS),
        number(nulls.threshold, _DIGITS),
        nulls.threshold_source or "",
        number(nulls.release_limit, _DIGITS),
        str(len(nulls.of("copies"))),
        str(len(nulls.of("releases"))),
        probability(nulls.least_p),
        percent(nulls.reseeding, 1),
    ]
