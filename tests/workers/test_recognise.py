"""Features are recognised from one version of a line to the next, and nothing is decided by it."""

import logging
from pathlib import Path

import pytest
import torch

from alerts.verdict import Verdict
from dfc.screening.likeness import SAME
from monitor.settings import Settings
from tests.workers.conftest import Silent, changed
from workers import recognise
from workers.diff import run_diff
from workers.job import CheckedVersion, Job, side_of
from workers.keeping.known_features import KnownFeatures, read_known_features, to_bytes
from workers.keeping.store import LocalStore
from workers.verdicts.outcome import Outcome


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Trained until there are features of the candidate alone."""
    return changed(settings, layer=1, seeds=[0], dfc=settings.recipe.dfc | {"steps": 80})


@pytest.fixture
def job(tiny_checkpoint: Path, contrary_checkpoint: Path) -> Job:
    return Job("assistant", side_of(tiny_checkpoint), side_of(contrary_checkpoint))


@pytest.fixture
def outcome(job: Job, settings: Settings, store: LocalStore) -> Outcome:
    return run_diff(job, settings, store, Silent())


@pytest.fixture
def kept(outcome: Outcome, tmp_path: Path) -> Path:
    path = tmp_path / "features.safetensors"
    assert outcome.features is not None
    path.write_bytes(outcome.features)
    return path


def after(
    job: Job, settings: Settings, store: LocalStore, *earlier: tuple[str, Path | None]
) -> tuple[Verdict, list[str]]:
    """The verdict where the line has these earlier versions, and its caveats."""
    job = job._replace(earlier=tuple(CheckedVersion(*one) for one in earlier))
    outcome = run_diff(job, settings, store, Silent())
    return outcome.verdict, outcome.evidence.caveats


def otherwise(verdict: Verdict) -> dict[str, object]:
    """All of it but what is recognised."""
    content = verdict.model_dump(exclude={"earlier"})
    for feature in content["features"]:
        del feature["seen_before"]
    return content


def test_features_that_come_again_are_recognised(
    outcome: Outcome, kept: Path, job: Job, settings: Settings, store: LocalStore
) -> None:
    first = outcome.verdict
    new = [feature for feature in first.features if feature.side == "candidate"]
    assert new and first.earlier == []
    assert all(feature.seen_before is None for feature in first.features)
    assert read_known_features(kept).ids == [feature.id for feature in new]

    again, _ = after(job, settings, store, ("v3", kept), ("v2", kept))
    assert [(v.name, v.not_compared) for v in again.earlier] == [("v3", None), ("v2", None)]
    for feature in again.features:
        if feature.side == "base":
            assert feature.seen_before is None
            continue
        assert [seen.version for seen in feature.seen_before or []] == ["v3", "v2"]
        seen = (feature.seen_before or [])[0]
        assert (seen.feature, seen.label) == (feature.id, feature.label)
        assert seen.cosine == pytest.approx(1, abs=1e-4)
        assert seen.correlation == pytest.approx(1, abs=1e-4)
    assert otherwise(again) == otherwise(first)


@pytest.mark.parametrize(("cosine", "seen"), [(SAME - 0.02, False), (SAME + 0.02, True)])
def test_features_that_fire_alike_are_one_if_they_write_alike_enough(
    cosine: float, seen: bool, kept: Path, job: Job, settings: Settings, store: LocalStore
) -> None:
    known = read_known_features(kept)
    row_KD = torch.nn.functional.normalize(known.bank.decoder_KD, dim=1)
    other_KD = torch.randn(row_KD.shape, generator=torch.Generator().manual_seed(0))
    other_KD -= (other_KD * row_KD).sum(1, keepdim=True) * row_KD
    across_KD = torch.nn.functional.normalize(other_KD, dim=1)
    turned_KD = cosine * row_KD + (1 - cosine**2) ** 0.5 * across_KD
    kept.write_bytes(to_bytes(known._replace(bank=known.bank._replace(decoder_KD=turned_KD))))
    verdict, _ = after(job, settings, store, ("v2", kept))
    found = [f.seen_before for f in verdict.features if f.side == "candidate"]
    assert found and all(bool(one) is seen for one in found)


def test_so_many_features_are_kept_and_compared_those_that_remove_most(
    kept: Path,
    job: Job,
    settings: Settings,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recognise, "MOST", 1)
    job = job._replace(earlier=(CheckedVersion("v2", kept),))
    outcome = run_diff(job, settings, store, Silent())
    first, *others = (f for f in outcome.verdict.features if f.side == "candidate")
    assert first.seen_before and [f.seen_before for f in others] == [None] * len(others) != []
    assert outcome.features is not None
    kept.write_bytes(outcome.features)
    assert read_known_features(kept).ids == [first.id]


def test_what_can_not_be_compared_says_why_and_changes_nothing(
    outcome: Outcome,
    kept: Path,
    job: Job,
    settings: Settings,
    store: LocalStore,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = read_known_features(kept)

    def place(name: str, content: bytes) -> tuple[str, Path]:
        (tmp_path / name).write_bytes(content)
        return name, tmp_path / name

    bank, layer = known.bank, known.bank.layer
    short = bank._replace(encoder_KD=bank.encoder_KD[:, 1:], decoder_KD=bank.decoder_KD[:, 1:])
    nothing = bank.bias_K.clone()
    nothing[0] = torch.nan
    lopsided = bank._replace(encoder_KD=bank.encoder_KD[:, 1:])
    names = to_bytes(known._replace(ids=[*known.ids, "candidate-999"]))
    with caplog.at_level(logging.WARNING):
        verdict, caveats = after(
            job,
            settings,
            store,
            place("deeper", to_bytes(known._replace(bank=bank._replace(layer=layer + 1)))),
            place("narrow", to_bytes(known._replace(bank=short))),
            place("cut off", to_bytes(known)[:-40]),
            place("other names", names),
            place("no file of ours", b"{}"),
            place("lopsided", to_bytes(known._replace(bank=lopsided))),
            place("no number", to_bytes(known._replace(bank=bank._replace(bias_K=nothing)))),
            place("later", to_bytes(known).replace(b"features/1", b"features/9")),
            ("gone", tmp_path / "gone"),
            ("never kept", None),
        )
    reasons = {version.name: version.not_compared for version in verdict.earlier}
    assert reasons["deeper"] is not None and f"after block {layer + 1}" in reasons["deeper"]
    assert reasons["narrow"] == "its states have another width"
    assert reasons.pop("never kept") == "no features are kept of it"
    unreadable = reasons.keys() - {"deeper", "narrow"}
    assert len(unreadable) == 7
    for name in unreadable:
        assert reasons[name] == "its features can't be read"
        assert str(tmp_path / name) in caplog.text
    assert all(feature.seen_before is None for feature in verdict.features)
    assert otherwise(verdict) == otherwise(outcome.verdict) and caveats == []


def test_a_version_without_features_of_its_own_was_compared_all_the_same(
    kept: Path, job: Job, settings: Settings, store: LocalStore
) -> None:
    known = read_known_features(kept)
    none = [value[:0] for value in known.bank[1:]]
    kept.write_bytes(to_bytes(KnownFeatures(type(known.bank)(known.bank.layer, *none), [], [])))
    verdict, _ = after(job, settings, store, ("v2", kept))
    assert [(v.name, v.not_compared) for v in verdict.earlier] == [("v2", None)]
    assert {str(f.seen_before) for f in verdict.features if f.side == "candidate"} == {"[]"}


def test_an_error_costs_a_caveat_and_no_verdict(
    outcome: Outcome,
    kept: Path,
    job: Job,
    settings: Settings,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of numbers")

    monkeypatch.setattr(recognise, "likeness", broken)
    verdict, caveats = after(job, settings, store, ("v2", kept))
    assert otherwise(verdict) == otherwise(outcome.verdict)
    assert len(caveats) == 1 and "RuntimeError: out of numbers" in caveats[0]
