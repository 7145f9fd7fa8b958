"""A verdict as JUnit XML, which every CI system shows: one test case per behaviour.

A behaviour that was not measured is a skipped case; a verdict that is undecided is an error of the
case called verdict, and of its other cases none passes either, so that no viewer counts it as a
pass. That case has the time of all; the stages are not a behaviour's own.
"""

from xml.etree import ElementTree as Xml

from alerts.plain_text import one_line
from alerts.records.behaviour import Behaviour
from alerts.verdict import Severity, Verdict, is_borne
from alerts.verdict_in_words import headline
from alerts.wording import interval, number, p_value, readable, signed

VERDICT = "verdict"
UNDECIDED = "undecided, see the case called verdict"


def to_junit(verdict: Verdict, fail_on: Severity = "warning") -> str:
    """The verdict as one test suite, of which nothing fails that does not fail the check.

    Ends with a newline.
    """
    seconds = f"{sum(verdict.timings.values()):.3f}"
    suite = Xml.Element("testsuite", name="latentwatch", time=seconds)
    _verdict(suite, verdict, seconds)
    decided = verdict.verdict != "undecided"
    for behaviour in verdict.behaviours:
        _behaviour(suite, behaviour, decided)
    if verdict.own_words is not None:
        case = _case(suite, "own words")
        if verdict.own_words.flagged:
            _say(case, "failure", "The candidate has a new habit of speech, see the verdict.")
        elif not decided:
            _say(case, "skipped", UNDECIDED)
    if is_borne(verdict, fail_on):
        _bear(suite)
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _bear(suite: Xml.Element) -> None:
    """Tell what a warning says without a failure."""
    for case in suite.iter("testcase"):
        for failure in case.findall("failure"):
            told = "\n".join(part for part in (failure.get("message"), failure.text) if part)
            case.remove(failure)
            Xml.SubElement(case, "system-out").text = f"warning: {told}"


def _verdict(suite: Xml.Element, verdict: Verdict, seconds: str) -> None:
    case = _case(suite, VERDICT)
    case.set("time", seconds)
    reasons = "\n".join(_text(reason) for reason in verdict.reasons)
    if verdict.verdict == "undecided":
        _say(case, "error", headline(verdict), reasons)
    elif verdict.verdict == "flagged":
        _say(case, "failure", headline(verdict), reasons)


def _behaviour(suite: Xml.Element, behaviour: Behaviour, decided: bool) -> None:
    case = _case(suite, readable(behaviour.name))
    figures = (
        f"shift {signed(behaviour.shift)} nats per token "
        f"({interval(behaviour.ci_low, behaviour.ci_high)}), noise floor "
        f"{number(behaviour.noise_floor)}, {p_value(behaviour.p_corrected)}"
    )
    if behaviour.flagged:
        _say(case, "failure", figures)
    elif behaviour.shift is None:
        _say(case, "skipped", "not measured")
    elif not decided:
        _say(case, "skipped", UNDECIDED, figures)
    else:
        Xml.SubElement(case, "system-out").text = figures


def _case(suite: Xml.Element, name: str) -> Xml.Element:
    return Xml.SubElement(suite, "testcase", classname="latentwatch", name=_text(name))


def _say(case: Xml.Element, tag: str, message: str, text: str = "") -> None:
    Xml.SubElement(case, tag, message=_text(message)).text = text


def _text(text: str) -> str:
    """On one line, without the two characters beyond controls that XML can't carry."""
    return one_line(text).translate({0xFFFE: None, 0xFFFF: None})
