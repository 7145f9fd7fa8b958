"""A version ready for comparison: the artifacts of its diff, computed where they are not there."""

from deploy.bench.rivals.rival import Case
from workers.context import Context
from workers.stages.answers import answer_prompts
from workers.stages.harvest import harvest_models
from workers.stages.probe import probe_models
from workers.stages.profile import choose_depth
from workers.stages.stock_phrases import find_stock_phrases


def open_case(context: Context) -> tuple[Case, dict[str, float]]:
    """The case and the seconds that each stage behind it has taken."""
    answers = answer_prompts(context)
    probe = probe_models(context)
    phrases = find_stock_phrases(context, answers.result)
    depth = choose_depth(context, answers.result)
    layer = depth.result.layer
    harvest = harvest_models(context, answers.result, layer)
    case = Case(
        context=context,
        answers=answers.result,
        probe=probe.result,
        stock_phrases=phrases.result,
        layer=layer,
        harvest=harvest.result,
        states=harvest.states(),
    )
    seconds = {
        "answers": answers.seconds,
        "probe": probe.seconds,
        "stock phrases": phrases.seconds,
        "profile": depth.seconds,
        "harvest": harvest.seconds,
    }
    return case, seconds
