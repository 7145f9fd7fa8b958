"""Stock phrases alone, as a way to compare two models."""

from alerts.stock_phrases import new_phrases, sentences, share_of_answers
from deploy.bench.rivals.rival import Case, Look

NAMED = 8


class StockPhrases:
    """Score: share of the answers that have a stock phrase.

    What is in the prompts is not counted, since both models may repeat it.
    """

    name = "new stock phrases"
    stages = ("answers",)

    def look(self, case: Case) -> Look:
        decode = case.context.models["base"].decode
        base, candidate = case.answers.base, case.answers.candidate
        known = [decode(tokens) for tokens in [*base.answers, *base.prompts]]
        answers = [decode(answer) for answer in candidate.answers]
        found = new_phrases(known, answers)
        return Look(
            score=share_of_answers(found, len(answers)),
            flagged=None,
            names=[f"{one.text} ({len(one.answers)})" for one in sentences(found)[:NAMED]],
            figures={"answers": float(len(answers)), "phrases": float(len(found))},
        )
