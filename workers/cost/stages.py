"""The stages of a diff as work: what each reads, writes and trains, by the recipe.

Counted after `workers/stages`.
"""

from collections.abc import Iterable
from math import ceil

from workers.cost.crosscoder import crosscoder_weights, training
from workers.cost.diff import PlannedDiff
from workers.cost.plan import EFFORT
from workers.cost.shape import Shape
from workers.cost.steering import above, gradients, steer
from workers.cost.texts import SuiteTokens
from workers.cost.work import Work, load, read, write


def stages_of(diff: PlannedDiff) -> dict[str, Work]:
    """Work by stage, in the order in which they run."""
    return {
        "fetch": _sum(Work(disk=model.file_bytes) for model in diff.models),
        "answers": _answers(diff),
        "probe": _probe(diff),
        "stock phrases": _stock_phrases(diff),
        "forks": _forks(diff),
        "profile": _profile(diff),
        "harvest": _harvest(diff),
        "attribute": _attribute(diff),
        "train": _train(diff),
        "screen": _screen(diff),
        "steer": steer(diff),
        "side by side": _side_by_side(diff),
        "describe": _sum(_describe(diff, model) for model in diff.models),
    }


def _sum(parts: Iterable[Work]) -> Work:
    return Work().plus(*parts)


def _answers(diff: PlannedDiff) -> Work:
    asked, length = diff.texts, diff.recipe.answer_tokens
    said = [write(model, asked.prompts, asked.prompt, length) for model in diff.unread]
    return _sum(said).plus(*map(load, diff.models))


def _probe(diff: PlannedDiff) -> Work:
    """Both models read every suite, and noisy copies of the base those of behaviours."""
    suites = [*diff.texts.behaviours, *diff.texts.others]
    own = [_score(model, suite) for model in diff.unread for suite in suites]
    if diff.assumed.known_base:
        return _sum(own)
    nulls = _sum(_score(diff.base, suite) for suite in diff.texts.behaviours).plus(load(diff.base))
    return _sum(own).plus(nulls.times(EFFORT.null_copies))


def _score(model: Shape, suite: SuiteTokens) -> Work:
    """One reading of a suite from its tokens."""
    return read(model, suite.tokens, suite.context, heads=suite.completions)


def _stock_phrases(diff: PlannedDiff) -> Work:
    """The base answers some of the prompts once more."""
    if diff.assumed.known_base:
        return Work()
    rows = min(EFFORT.second_answers, diff.texts.prompts)
    length = diff.recipe.answer_tokens
    return write(diff.base, rows, diff.texts.prompt, length)


def _forks(diff: PlannedDiff) -> Work:
    """The windows of an answer are completions of one prompt, each from the answer's beginning."""
    rows, length = min(EFFORT.fork_prompts, diff.texts.prompts), diff.recipe.answer_tokens
    windows = ceil(length / EFFORT.fork_window)
    said = rows * length * (windows + 1) / 2
    tokens = rows * diff.texts.prompt + said
    both = _sum(read(model, tokens, tokens / rows, heads=said) for model in diff.models)
    ways = write(
        diff.base,
        min(EFFORT.forks, rows),
        diff.texts.prompt + length / 2,
        EFFORT.fork_window,
    )
    return both.plus(ways)


def _profile(diff: PlannedDiff) -> Work:
    """At every depth each model reads the rows up to it and is then read on from it."""
    if not diff.tied or diff.recipe.layer != "auto":
        return Work()
    rows = 2 * min(EFFORT.profile_prompts, diff.texts.prompts)
    said = min(EFFORT.profile_opening, diff.recipe.answer_tokens)
    context = diff.texts.prompt + said
    once = _sum(read(m, rows * context, context, heads=rows * said) for m in diff.models)
    return once.times(1 + EFFORT.depths)


def _harvest(diff: PlannedDiff) -> Work:
    """A known base reads the candidate's answers alone."""
    of_base = diff.answer_states if diff.assumed.known_base else diff.states
    context = diff.states / diff.documents
    return read(diff.base, of_base, context, blocks=diff.depth).plus(
        read(diff.candidate, diff.states, context, blocks=diff.depth)
    )


def _attribute(diff: PlannedDiff) -> Work:
    if not diff.tied:
        return Work()
    rows = min(EFFORT.attributed_prompts, diff.texts.prompts)
    said = min(EFFORT.attributed_opening, diff.recipe.answer_tokens)
    own = SuiteTokens(rows, rows * (diff.texts.prompt + said), rows * said)
    asked = [own, *(s.part(EFFORT.attributed_items) for s in diff.shifted)]
    works = []
    for suite in asked:
        products = Work(flops=4 * suite.tokens * diff.candidate.width**2)
        scored = above(diff, diff.candidate, suite).times(2)  # with the states of either model
        works.append(gradients(diff, suite).plus(scored, products))
    return _sum(works)


def _train(diff: PlannedDiff) -> Work:
    widths = (diff.base.width, diff.candidate.width)
    return training(diff.dfc, *widths).times(len(diff.recipe.seeds))


def _screen(diff: PlannedDiff) -> Work:
    """Every seed encodes all states once."""
    weights = crosscoder_weights(diff.dfc, diff.base.width, diff.candidate.width)
    return Work(flops=2 * diff.states * weights).times(len(diff.recipe.seeds))


def _side_by_side(diff: PlannedDiff) -> Work:
    """Both models answer, as they are and steered."""
    each = [
        write(model, EFFORT.side_prompts, diff.texts.prompt, EFFORT.side_tokens)
        for model in diff.models
    ]
    return _sum(each).times(2 * len(diff.shifted))


def _describe(diff: PlannedDiff, model: Shape) -> Work:
    """A few documents to the end, and the probabilities of all next tokens at some positions."""
    if not diff.tied:
        return Work()
    length = diff.states / diff.documents
    read_to_end = min(diff.assumed.features * EFFORT.contrast_documents, diff.documents)
    lines = diff.assumed.features * EFFORT.contrast_lines
    return read(model, read_to_end * length, length, heads=lines)
