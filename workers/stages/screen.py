"""From all exclusive features to those that are real."""

from collections.abc import Callable
from pathlib import Path

from dfc.crosscoder.form import form_of, layer_of_base
from dfc.engines.engine import FeatureBank
from dfc.errors import InputError
from dfc.screening.base_view import BaseView
from dfc.screening.screen import screen
from dfc.screening.stitching import Stitch, fit_stitch
from dfc.sides import SideName
from workers.context import Context
from workers.keeping.artifact import Artifact, Result
from workers.stages.banks import load_bank, load_stitch, save_bank, save_stitch
from workers.stages.harvest import PairedStates
from workers.stages.train import Training

_STITCH = "stitch.safetensors"


class ScreenedFeature(Result):
    """One latent that only one of the models has, as screening sees it."""

    id: str
    side: SideName
    row: int
    """Row of the bank of its side."""
    density: float
    delta_energy: float | None
    exclusivity: float | None
    seed_agreement: float | None
    mirrored: bool
    new: bool
    listed: bool


class Screened(Result):
    """The features of the first seed, those that explain most of the change first."""

    features: list[ScreenedFeature]
    across: bool
    """The models have no common residual space."""
    stitched: float | None
    """Part of the candidate's variance that the map from the base explains; None where there is no
    map."""
    candidate_change: list[list[int]]
    """Per seed the rows of the candidate's bank that make up the change (`screen.Screening`)."""
    candidate_listed: list[list[int]]
    """Of the new ones those that the other seeds have found too, most important first."""

    @property
    def short_list(self) -> list[ScreenedFeature]:
        """The features that are real, as far as can be said without steering."""
        return [feature for feature in self.features if feature.listed]


class Banks:
    """The feature banks of every seed, read from the artifact of the screening."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def bank(self, side: SideName, seed_index: int = 0) -> FeatureBank:
        """The exclusive features of `side` that the seed at `seed_index` found."""
        return load_bank(_bank_path(self._directory, side, seed_index))

    def base_view(self) -> BaseView:
        """How the candidate's features stand in a base of another architecture."""
        path = self._directory / _STITCH
        return BaseView(self.bank("base").layer, load_stitch(path) if path.exists() else None)


def screen_features(
    context: Context, training: Training, layer: int, states: Callable[[], PairedStates]
) -> Artifact[Screened]:
    """Screen the exclusive features; their banks lie beside the result."""

    def compute(directory: Path) -> Screened:
        pair = states()
        base, candidate = context.models["base"].info, context.models["candidate"].info
        across = form_of(base, candidate) == "strict"
        stitch = _stitch(pair) if across else None
        screening = screen(
            training.crosscoders(),
            pair.base.x_TD,
            pair.candidate.x_TD,
            layer,
            context.inputs.recipe.screen,
            base_layer=layer_of_base(layer, base, candidate),
            stitch=stitch,
        )
        if stitch is not None:
            save_stitch(directory / _STITCH, stitch)
        for side, banks in screening.banks.items():
            for seed_index, bank in enumerate(banks):
                save_bank(_bank_path(directory, side, seed_index), bank)
        features = [ScreenedFeature(**feature._asdict()) for feature in screening.features]
        return Screened(
            features=features,
            across=across,
            stitched=stitch.base_to_candidate.r2 if stitch else None,
            candidate_change=screening.candidate_change,
            candidate_listed=screening.candidate_listed,
        )

    return context.artifact("screen", Screened, compute)


def _stitch(pair: PairedStates) -> Stitch | None:
    try:
        return fit_stitch(pair.base.x_TD, pair.candidate.x_TD, seed=0)
    except InputError:  # too few pairs: what needs the maps is then not measured
        return None


def _bank_path(directory: Path, side: SideName, seed_index: int) -> Path:
    return directory / f"{side}-{seed_index}.safetensors"
