"""From all exclusive features to those that are real, and what each of them reads and writes."""

from collections.abc import Callable
from pathlib import Path

from alerts.evidence import HighlightedExample
from dfc.describe import logit_lens, top_examples
from dfc.engine import FeatureBank
from dfc.screen import Feature, Screening, Side, screen
from workers.artifact import Artifact, Result
from workers.context import Context
from workers.stages.banks import load_bank, save_bank
from workers.stages.harvest import Pair
from workers.stages.train import Training

TOP_TOKENS = 8
EXAMPLES = 3


class ScreenedFeature(Result):
    """One latent that only one of the models has, with a description where it is short-listed."""

    id: str
    side: Side
    row: int
    """Row of the bank of its side."""
    density: float
    delta_energy: float | None
    exclusivity: float | None
    seed_agreement: float | None
    mirrored: bool
    listed: bool
    top_tokens: list[str]
    examples: list[HighlightedExample]


class Screened(Result):
    """The features of the first seed, those that explain most of the change first."""

    features: list[ScreenedFeature]
    candidate_order: list[list[int]]
    """Per seed the rows of the candidate's bank that are alive, most important first."""

    @property
    def short_list(self) -> list[ScreenedFeature]:
        """The features that are real, as far as can be said without steering."""
        return [feature for feature in self.features if feature.listed]


class Banks:
    """The feature banks of every seed, read from the artifact of the screening."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def bank(self, side: Side, seed_index: int = 0) -> FeatureBank:
        """The exclusive features of `side` that the seed at `seed_index` found."""
        return load_bank(_bank_path(self._directory, side, seed_index))


def screen_features(
    context: Context, training: Training, layer: int, states: Callable[[], Pair]
) -> Artifact[Screened]:
    """Screen and describe the exclusive features; their banks lie beside the result."""

    def compute(directory: Path) -> Screened:
        pair = states()
        screening = screen(
            training.crosscoders(),
            pair.base.x_TD,
            pair.candidate.x_TD,
            layer,
            context.inputs.recipe.screen,
        )
        for side, banks in screening.banks.items():
            for seed_index, bank in enumerate(banks):
                save_bank(_bank_path(directory, side, seed_index), bank)
        features = []
        for done, feature in enumerate(screening.features, start=1):
            features.append(_describe(context, screening, pair, feature))
            context.progress.step("features", done, len(screening.features))
        return Screened(features=features, candidate_order=screening.candidate_order)

    return context.artifact("screen", Screened, compute)


def _describe(
    context: Context, screening: Screening, pair: Pair, feature: Feature
) -> ScreenedFeature:
    tokens: list[str] = []
    examples: list[HighlightedExample] = []
    if feature.listed:
        engine = context.models[feature.side]
        bank = screening.banks[feature.side][0]
        activations = pair.base if feature.side == "base" else pair.candidate
        f_T = screening.codes[feature.side][:, feature.row]
        tokens = logit_lens(engine, bank.decoder_KD[feature.row], TOP_TOKENS)
        examples = [
            HighlightedExample(
                tokens=[token.text for token in example.tokens],
                activations=[token.activation for token in example.tokens],
            )
            for example in top_examples(f_T, activations, engine.decode, EXAMPLES)
        ]
    return ScreenedFeature(**feature._asdict(), top_tokens=tokens, examples=examples)


def _bank_path(directory: Path, side: Side, seed_index: int) -> Path:
    return directory / f"{side}-{seed_index}.safetensors"
