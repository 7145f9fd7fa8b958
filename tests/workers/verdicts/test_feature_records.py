"""What is told of a feature in the verdict, and in which order."""

from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.forks import Fork
from alerts.probes.stock_phrases import Phrase
from alerts.records.behaviour import SeedMediation
from alerts.records.feature import CarriedWords, FeatureEffect
from tests.alerts.judged import POLICY, causal
from workers.stages.forks import Forks
from workers.stages.screen import Screened, ScreenedFeature
from workers.stages.steer import Causes
from workers.stages.stock_phrases import StockPhrases
from workers.verdicts.feature_records import features_of, own_words_of
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


def test_own_words_have_what_their_forks_say_of_every_seed() -> None:
    seeds = (
        SeedMediation(best=0.1, five=0.4, all=0.6, control_p95=0.2),
        SeedMediation(best=0.1, five=0.3, all=0.5, control_p95=0.35),
    )
    causes = Causes(
        evidence={OWN_WORDS: causal(by_seed=seeds, seeds_agree=False)},
        effects={},
        carried={},
        dose_responses=[],
        reach={},
        best={},
    )
    fork = Fork([{"role": "user", "content": "Why?"}], "", " I grew up", " As an AI", 1.5)
    phrase = Phrase("i grew up here", tuple(range(30)))
    found = Findings(
        forks=Forks(forks=[fork]),
        stock_phrases=StockPhrases(phrases=[phrase], share=0.2, by_chance=0.0),
        causes=causes,
    )
    own = own_words_of(found, POLICY)
    assert own is not None and own.mediated_by_seed == list(seeds)
    assert not own.flagged
