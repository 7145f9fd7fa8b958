"""What is told of a feature in the verdict, and in which order."""

from alerts.records.feature import CarriedWords, FeatureEffect
from workers.stages.screen import Screened, ScreenedFeature
from workers.stages.steer import Causes
from workers.verdicts.feature_records import features_of
from workers.verdicts.findings import Findings

WORDS = CarriedWords(candidate=" I grew up", base=" As an AI", part=0.7)


def screened(row: int) -> ScreenedFeature:
    return ScreenedFeature(
        id=f"candidate-{row}",
        side="candidate",
        row=row,
        density=0.01,
        delta_energy=None,
        exclusivity=None,
        seed_agreement=None,
        mirrored=False,
        new=True,
        listed=True,
    )


def removes(part: float) -> FeatureEffect:
    return FeatureEffect(
        behaviour="own_words",
        ablation_removes=part,
        addition_induces=None,
        control_p95=None,
        nll_rise=0.0,
        strength=None,
    )


def test_a_feature_has_what_steering_found_of_it_and_the_strongest_comes_first() -> None:
    found = Screened(
        features=[screened(row) for row in range(3)],
        across=False,
        stitched=None,
        candidate_change=[[0, 1, 2]],
        candidate_listed=[[0, 1, 2]],
    )
    causes = Causes(
        evidence={},
        effects={"candidate-1": [removes(0.2)], "candidate-2": [removes(0.4)]},
        carried={"candidate-1": [], "candidate-2": [WORDS]},
        dose_responses=[],
        reach={},
        best={},
    )
    features = features_of(Findings(screened=found, causes=causes))
    assert [(one.id, one.carries) for one in features] == [
        ("candidate-2", [WORDS]),
        ("candidate-1", []),
        ("candidate-0", None),
    ]
    assert [one.carries for one in features_of(Findings(screened=found))] == [None] * 3
