"""One behaviour over the versions of a line, as an SVG element."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes

from alerts.pages.history import Against, Release, names_of
from alerts.pages.svg import ROLES, blank, styled, to_svg
from alerts.plain_text import one_line
from alerts.records.behaviour import Behaviour
from alerts.wording import readable, signed

_NAME = 14  # characters of a version's name that fit below its place
_BAND = 0.36  # half the width of a noise floor, in versions
_DASHES = {"trusted": "-", "anchor": (0, (4, 3))}


@styled
def history_plot(releases: Sequence[Release], behaviour: str, name: str) -> Markup:
    """Shift of `behaviour` in each version with its 95 % interval over the band of the noise floor,
    against the version that was trusted then and, dashed, against the anchor."""
    names = names_of(releases)
    places = {digest: place for place, digest in enumerate(names)}
    figure = blank(250)
    axes = figure.add_subplot()
    axes.axhline(0, color=ROLES["rule"], linewidth=1)
    for against in ("trusted", "anchor"):
        _series(axes, releases, places, behaviour, against)
    shown = [one_line(version) for version in names.values()]
    axes.set_xlim(-0.6, len(places) - 0.4)
    axes.set_xticks(
        range(len(shown)),
        [label if len(label) <= _NAME else f"{label[: _NAME - 1]}…" for label in shown],
        rotation=40,
        ha="right",
        rotation_mode="anchor",
    )
    axes.set_title("shift, nats per token", loc="left", color=ROLES["muted"], size=11, pad=10)
    told = "; ".join(
        f"{one_line(release.name)} against the {release.against}: {signed(shift)}"
        for release, _, shift in _measured(releases, behaviour)
    )
    return to_svg(figure, name, f"{readable(one_line(behaviour))} over the versions", f"{told}.")


def _series(
    axes: Axes,
    releases: Sequence[Release],
    places: dict[str, int],
    behaviour: str,
    against: Against,
) -> None:
    role = "ink" if against == "trusted" else "base"
    points = [
        (places[release.verdict.candidate.digest], found, shift)
        for release, found, shift in _measured(releases, behaviour)
        if release.against == against
    ]
    if not points:
        return
    xs, _, shifts = zip(*points, strict=True)
    axes.plot(xs, shifts, ls=_DASHES[against], color=ROLES[role], linewidth=1)
    for x, found, shift in points:
        if found.noise_floor is not None and against == "trusted":
            axes.bar(x, 2 * found.noise_floor, 2 * _BAND, -found.noise_floor, color=ROLES["band"])
        colour = ROLES["candidate"] if found.flagged else ROLES[role]
        if found.ci_low is not None and found.ci_high is not None:
            axes.vlines(x, found.ci_low, found.ci_high, color=colour, linewidth=2)
        marker = "D" if found.flagged else "o"
        filled = colour if against == "trusted" else ROLES["paper"]
        axes.plot(x, shift, marker, color=colour, mfc=filled, markersize=6.5)
    if against == "anchor":
        label = axes.annotate("anchor", (xs[-1], shifts[-1]), (-8, 8), textcoords="offset points")
        label.set(ha="right", color=ROLES[role])


def _measured(
    releases: Sequence[Release], behaviour: str
) -> Iterator[tuple[Release, Behaviour, float]]:
    """Where the behaviour was measured, with its shift."""
    for release in releases:
        found = release.behaviour(behaviour)
        if found is not None and found.shift is not None:
            yield release, found, found.shift
