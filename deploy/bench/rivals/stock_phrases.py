"""The stock phrases of the diff alone, as a way to compare two models."""

from deploy.bench.rivals.rival import Case, Look


class NewStockPhrases:
    """Score: share of the answers that have a stock phrase."""

    name = "new stock phrases"
    stages = ("answers", "stock phrases")

    def look(self, case: Case) -> Look:
        found = case.stock_phrases
        return Look(
            score=found.share,
            flagged=None,
            names=[f"{one.text} ({len(one.answers)})" for one in found.phrases],
            figures={
                "answers": float(len(case.answers.candidate.answers)),
                "by_chance": found.by_chance,
            },
        )
