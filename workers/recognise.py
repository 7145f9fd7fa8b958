"""Whether the candidate's features were seen in earlier versions of its line.

This comes when all figures of the verdict are fixed, and whatever goes wrong leaves them as they
are. A feature that was seen before is no less new to the base, so nothing is decided by it.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from alerts.records.feature import Feature, SeenBefore
from alerts.verdict import EarlierVersion
from dfc.engines.engine import FeatureBank
from dfc.screening.likeness import SAME, likeness
from workers.job import CheckedVersion
from workers.keeping.known_features import KnownFeatures, read_known_features, to_bytes
from workers.stages.harvest import PairedStates
from workers.stages.screen import Banks, Screened
from workers.verdicts.outcome import Outcome

MOST = 32
"""Features of a version that are kept, those first whose ablation removes most."""

logger = logging.getLogger(__name__)


class NewFeatures(NamedTuple):
    """What a diff found of features, and the states that it read."""

    screened: Screened
    banks: Banks
    states: Callable[[], PairedStates]


class _Compared(NamedTuple):
    version: EarlierVersion
    seen: list[SeenBefore | None]
    """By feature of the candidate."""


def with_seen_before(
    outcome: Outcome, earlier: Sequence[CheckedVersion], found: NewFeatures | None
) -> Outcome:
    """`outcome` with where its features were seen before, and with what later versions recognise
    them by. It stays as it is where the stages did not come as far as features."""
    if found is None:
        return outcome
    new = [f for f in outcome.verdict.features if f.side == "candidate"][:MOST]
    row_of = {f.id: f.row for f in found.screened.features if f.side == "candidate"}
    rows, bank = [row_of[f.id] for f in new], found.banks.bank("candidate")
    outcome = outcome._replace(features=_kept(bank, rows, new))
    try:
        compared = [_compared(version, bank, rows, found.states) for version in earlier]
    except Exception as error:
        logger.exception("the features were not compared with those of earlier versions")
        reason = f"{type(error).__name__}: {error}"
        caveat = f"The features were not compared with those of earlier versions. {reason}"
        evidence = outcome.evidence
        evidence = evidence.model_copy(update={"caveats": [*evidence.caveats, caveat]})
        return outcome._replace(evidence=evidence)
    real = [one for one in compared if one.version.not_compared is None]
    seen = {
        feature.id: [before for one in real if (before := one.seen[r]) is not None]
        for r, feature in enumerate(new)
        if real
    }
    features = [
        f.model_copy(update={"seen_before": seen.get(f.id)}) for f in outcome.verdict.features
    ]
    update = {"features": features, "earlier": [one.version for one in compared]}
    return outcome._replace(verdict=outcome.verdict.model_copy(update=update))


def _compared(
    earlier: CheckedVersion,
    bank: FeatureBank,
    rows: Sequence[int],
    states: Callable[[], PairedStates],
) -> _Compared:
    nothing: list[SeenBefore | None] = [None] * len(rows)
    if earlier.features is None:
        unknown = "no features are kept of it"
        return _Compared(EarlierVersion(name=earlier.name, not_compared=unknown), nothing)
    try:
        known = read_known_features(earlier.features)
    except ValueError as error:
        logger.warning("%s: its features are not compared: %s", earlier.name, error)
        unreadable = "its features can't be read"
        return _Compared(EarlierVersion(name=earlier.name, not_compared=unreadable), nothing)
    if (reason := _incomparable(known.bank, bank)) is not None:
        return _Compared(EarlierVersion(name=earlier.name, not_compared=reason), nothing)
    if known.ids and rows:
        found = _seen_in(earlier.name, bank, rows, known, states().candidate.x_TD)
    else:
        found = nothing
    return _Compared(EarlierVersion(name=earlier.name, not_compared=None), found)


def _incomparable(known: FeatureBank, bank: FeatureBank) -> str | None:
    if known.decoder_KD.shape[1] != bank.decoder_KD.shape[1]:
        return "its states have another width"
    if known.layer != bank.layer:
        return f"its features were read after block {known.layer}, these after {bank.layer}"
    return None


def _seen_in(
    version: str, bank: FeatureBank, rows: Sequence[int], known: KnownFeatures, x_TD: Tensor
) -> list[SeenBefore | None]:
    """The feature of `version` that each row is most like, where they count as one."""
    alike = likeness(bank, rows, known.bank, x_TD)
    nearest = alike.agreement.max(1)
    return [
        SeenBefore(
            version=version,
            feature=known.ids[j],
            label=known.labels[j],
            cosine=alike.cosine_RJ[r, j].item(),
            correlation=alike.correlation_RJ[r, j].item(),
        )
        if how_alike >= SAME
        else None
        for r, (how_alike, j) in enumerate(
            zip(nearest.values.tolist(), nearest.indices.tolist(), strict=True)
        )
    ]


def _kept(bank: FeatureBank, rows: Sequence[int], features: Sequence[Feature]) -> bytes:
    chosen = FeatureBank(
        layer=bank.layer,
        **{name: value[list(rows)] for name, value in bank._asdict().items() if name != "layer"},
    )
    return to_bytes(KnownFeatures(chosen, [f.id for f in features], [f.label for f in features]))
