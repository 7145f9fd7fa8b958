"""The number formats and small words that the page, the message and the terminal share.

Only words: no markup and no escaping. What was not measured is called that, never written as 0, and
what rounds to zero has no sign.
"""

NOT_MEASURED = "not measured"


def number(value: float | None, digits: int = 2) -> str:
    """`value` with a true minus sign."""
    return NOT_MEASURED if value is None else f"{value:z.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """`value` with its sign, also when it is positive."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and text != number(0.0, digits) else text


def points(difference: float | None) -> str:
    """A difference of two parts of one, in percentage points."""
    return NOT_MEASURED if difference is None else f"{signed(100 * difference, 0)}\u00a0points"


def percent(share: float | None, digits: int = 0) -> str:
    """A part of one as a percentage."""
    return NOT_MEASURED if share is None else f"{number(100 * share, digits)}\u202f%"


def small(value: float | None) -> str:
    """A density: four decimals, or scientific where that would show little but zeros."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.4f}" if value >= 0.001 or value == 0 else f"{value:.1e}".replace("e-0", "e-")


def probability(p: float | None) -> str:
    """A p-value; a very small one as a bound."""
    if p is None:
        return NOT_MEASURED
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def p_value(p: float | None) -> str:
    """A p-value as part of a sentence."""
    text = probability(p)
    return f"p {text}" if p is None or text.startswith("<") else f"p = {text}"


def count(n: int, one: str, many: str | None = None) -> str:
    """`n` with its noun."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def interval(low: float | None, high: float | None) -> str:
    """The ends of a confidence interval."""
    return NOT_MEASURED if low is None or high is None else f"{number(low)} to {number(high)}"


def readable(name: str) -> str:
    """A behaviour's name as a word of a sentence."""
    return name.replace("_", " ")


def short_digest(digest: str) -> str:
    """The first seven characters of a digest, without the name of the hash."""
    return digest.rpartition(":")[2][:7]


def duration(seconds: float) -> str:
    """A time as a person says it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
