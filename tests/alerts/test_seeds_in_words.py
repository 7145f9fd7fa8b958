"""What is said of further trainings: every mean with its range and n, and nothing that was not
measured."""

from alerts.records.behaviour import SeedMediation
from alerts.seeds_in_words import seeds_lines
from tests.alerts.steered import seeds_tried


def test_means_have_a_range_and_n_and_the_unmeasured_is_left_out_of_both() -> None:
    said = [line.replace("\u202f", " ") for line in seeds_lines(seeds_tried())]
    assert said == [
        "seed 1 (of the check): finds 2 of 2 listed features again (similarity 0.7 or more); their "
        "similarity is 0.80 to 0.92",
        "seed 2: finds 1 of 2 listed features again (similarity 0.7 or more); their similarity is "
        "0.40 to 0.71",
        "sycophancy, over 3 seeds, on 24 items: its best feature removes 20 % on average (range "
        "10 % to 30 %, n = 3); its best five 45 % on average (range 40 % to 50 %, n = 2); all "
        "exclusive ones 80 % on average (range 70 % to 90 %, n = 3); the best five remove more "
        "than their control in 1 of 3",
        "seed 0 (of the check): best 20 %, five 50 %, all 80 %, controls up to 10 %",
        "seed 1 (of the check): best 30 %, five 40 %, all 90 %, controls up to 60 %",
        "seed 2: best 10 %, five not measured, all 70 %, controls up to not measured",
    ]


def test_where_nothing_was_listed_or_steered_that_is_said() -> None:
    tried = seeds_tried()
    bare = tried.model_copy(
        update={
            "behaviours": [],
            "seeds": [seed.model_copy(update={"similarity": {}}) for seed in tried.seeds],
        }
    )
    *agreements, last = seeds_lines(bare)
    assert len(agreements) == 2 and all("listed no feature" in line for line in agreements)
    assert "no part of one was measured" in last


def test_what_removes_exactly_nothing_was_measured() -> None:
    nothing = SeedMediation(best=0.0, five=0.0, all=0.0, control_p95=-0.1)
    tried = seeds_tried()
    [behaviour] = tried.behaviours
    behaviour = behaviour.model_copy(update={"by_seed": [nothing, behaviour.by_seed[0], nothing]})
    tried = tried.model_copy(update={"behaviours": [behaviour]})
    said = "\n".join(seeds_lines(tried)).replace("\u202f", " ")
    assert "its best five 17 % on average (range 0 % to 50 %, n = 3)" in said
    assert "the best five remove more than their control in 3 of 3" in said
    assert "seed 2: best 0 %, five 0 %, all 0 %" in said


def test_as_much_as_random_directions_is_not_more() -> None:
    even = SeedMediation(best=0.0, five=0.0, all=0.0, control_p95=0.0)
    tried = seeds_tried()
    [behaviour] = tried.behaviours
    behaviour = behaviour.model_copy(update={"by_seed": [even]})
    [line] = [
        line
        for line in seeds_lines(tried.model_copy(update={"behaviours": [behaviour]}))
        if "over 1 seed" in line
    ]
    assert "more than their control in 0 of 1" in line
