"""A diff as far as it is known before it runs: shapes, recipe, texts and assumptions."""

from typing import NamedTuple

from dfc.crosscoder.config import DfcConfig
from workers.cost.plan import EFFORT, Assumed
from workers.cost.shape import Shape
from workers.cost.texts import SuiteTokens, Texts
from workers.recipe import Recipe


class PlannedDiff(NamedTuple):
    """What is to be compared, how, and on what assumptions."""

    base: Shape
    candidate: Shape
    recipe: Recipe
    texts: Texts
    assumed: Assumed = Assumed()

    @property
    def models(self) -> tuple[Shape, Shape]:
        return self.base, self.candidate

    @property
    def tied(self) -> bool:
        """Whether the two have one residual space, as far as shapes tell: tokenizers are not
        looked at."""
        base, candidate = self.models
        return (base.layers, base.width) == (candidate.layers, candidate.width)

    @property
    def dfc(self) -> DfcConfig:
        """The crosscoder that these two get."""
        across = self.recipe.dfc_across
        return self.recipe.dfc if self.tied or across is None else across

    @property
    def unread(self) -> tuple[Shape, ...]:
        """The models of which nothing is kept from earlier diffs."""
        return self.models[1:] if self.assumed.known_base else self.models

    @property
    def answer_states(self) -> float:
        """Positions in the answers of one model, with their prompts, if no answer ends early."""
        said = self.texts.prompts * (self.texts.prompt + self.recipe.answer_tokens)
        return min(EFFORT.answers_share * self.recipe.tokens, said)

    @property
    def states(self) -> float:
        """Positions of the harvest, of each model."""
        corpus = min(EFFORT.corpus_share * self.recipe.tokens, self.texts.corpus_tokens)
        return corpus + 2 * self.answer_states

    @property
    def documents(self) -> int:
        """Of the harvest."""
        return self.texts.corpus + 2 * self.texts.prompts

    @property
    def depth(self) -> float:
        """Of the compared layer, as a part of the stack."""
        layer = self.recipe.layer
        return self.assumed.depth if layer == "auto" else (layer + 1) / self.candidate.layers

    @property
    def shifted(self) -> list[SuiteTokens]:
        """The suites that are taken to be flagged."""
        return self.texts.behaviours[: self.assumed.shifted]

    @property
    def steered(self) -> list[SuiteTokens]:
        """These, and the forks: each a prompt, what was said so far, and two ways to go on."""
        count, window = min(EFFORT.forks, self.texts.prompts), EFFORT.fork_window
        said = 2 * count * window
        read_before = count * (self.texts.prompt + self.recipe.answer_tokens / 2)
        return [*self.shifted, SuiteTokens(count, read_before + said, said)]
