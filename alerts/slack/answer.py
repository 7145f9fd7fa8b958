"""What is said in an alert's thread about a question: that it was asked, and what was found."""

from collections.abc import Sequence

from slack_sdk.models.blocks import Block, PlainTextObject, SectionBlock

from alerts import behaviour_in_words, wording
from alerts.question import (
    Answered,
    Asked,
    PromptAsked,
    SeedsTried,
    SteeredAnswers,
    SuiteAsked,
    SuiteMeasured,
    subject_in_words,
)
from alerts.routing import Examples
from alerts.seeds_in_words import seeds_lines
from alerts.slack.message import SlackMessage
from alerts.slack.sections import words
from alerts.slack.status import person
from alerts.slack.text import code, literal
from alerts.wording import interval, number, p_value, readable, signed

_PROMPT, _ANSWER, _REASON, _LINE = 400, 420, 600, 400
_LINES = 18
"""Of an answer; all of it stands on the command line."""


def asked_message(asked: Asked, actor: str) -> SlackMessage:
    """That `actor` has asked; never the prompt itself."""
    text = f"❔ {person(actor)} asks for more: {_subject(asked)}. The answer will stand here."
    return SlackMessage(text, [words(text).to_dict()])


def answered_message(
    asked: Asked,
    actor: str,
    ended: Answered | str,
    fingerprint: str,
    examples: Examples,
) -> SlackMessage:
    """The answer, or the reason why there is none. Words of models, and the prompt, are shown where
    `examples` are "full" alone; figures always."""
    title = _title(asked, actor)
    where = f"`latentwatch alerts answers {fingerprint[:12]}`"
    if isinstance(ended, str):
        text = f"⚠️ {title}: not answered: {literal(ended, _REASON)}"
        return SlackMessage(text, [words(text).to_dict()])
    if isinstance(ended, SuiteMeasured):
        text = f"💬 {title}: {_measured(ended)}"
        return SlackMessage(text, [words(text).to_dict()])
    if isinstance(ended, SeedsTried):
        text = f"💬 {title}: answered; {where} shows all of it."
        return SlackMessage(text, _blocks([words(text), *_seeds(ended)]))
    if examples != "full" or not isinstance(asked, PromptAsked):
        text = f"💬 {title}: answered. {where} shows the answers, which are not to be shown here."
        return SlackMessage(text, [words(text).to_dict()])
    text = f"💬 {title}: answered; {where} shows all of it."
    return SlackMessage(text, _blocks([words(text), *_steered(asked, ended)]))


def cancelled_message(asked: Asked, actor: str, by: str, reason: str) -> SlackMessage:
    """That nobody works on it any more: `by` has cancelled what `actor` had asked."""
    text = f"🚫 {_title(asked, actor)}: cancelled by {person(by)}: {literal(reason, _REASON)}"
    return SlackMessage(text, [words(text).to_dict()])


def _title(asked: Asked, actor: str) -> str:
    subject = _subject(asked)
    return f"{subject[:1].upper()}{subject[1:]}, asked for by {person(actor)}"


def _steered(asked: PromptAsked, ended: SteeredAnswers) -> list[Block]:
    rows: list[tuple[str, str | None]] = list(ended.by_name.items())
    lines = [f"Prompt: {literal(asked.prompt, _PROMPT)}"]
    lines += [
        f"{name}: {literal(said, _ANSWER) or 'nothing'}" for name, said in rows if said is not None
    ]
    shown = [SectionBlock(text=PlainTextObject(text="\n".join(lines), emoji=False))]
    caveats = [words(literal(" ".join(ended.caveats), 500))] if ended.caveats else []
    return [*shown, *caveats]


def _seeds(ended: SeedsTried) -> list[Block]:
    # Slack takes 3,000 characters in a block.
    lines = [f"• {literal(line, _LINE)}" for line in seeds_lines(ended)[:_LINES]]
    return [words("\n".join(lines[n : n + 6])) for n in range(0, len(lines), 6)]


def _measured(ended: SuiteMeasured) -> str:
    b = ended.behaviour
    if b.shift is None:
        return f"{wording.NOT_MEASURED}, {ended.n_unscored} of {b.n_items} items have no score"
    flagged = "by the policy it is flagged" if b.flagged else "by the policy it is not flagged"
    return (
        f"{signed(b.shift)} [{interval(b.ci_low, b.ci_high)}], {number(b.base_score)} → "
        f"{number(b.candidate_score)}, n = {b.n_scored}, {behaviour_in_words.times_noise(b)}, "
        f"{p_value(b.p_corrected)}; {flagged}, taken alone"
    )


def _subject(asked: Asked) -> str:
    if isinstance(asked, PromptAsked):
        return f"a prompt steered with {code(asked.feature, 60)}"
    if isinstance(asked, SuiteAsked):
        return literal(f"the probe suite {readable(asked.suite)}", 150)
    return subject_in_words(asked)


def _blocks(blocks: Sequence[Block]) -> list[dict[str, object]]:
    return [block.to_dict() for block in blocks]
