"""How a feature of the candidate stands in a base of another architecture."""

from typing import NamedTuple

from dfc.engines.engine import FeatureBank
from dfc.screening.stitching import Stitch, direction_in_other


class BaseView(NamedTuple):
    """The base's residual stream, and the maps between it and the candidate's."""

    layer: int
    """Of the base."""
    stitch: Stitch | None
    """None where there was too little text to fit it."""

    def bank(self, bank: FeatureBank) -> FeatureBank | None:
        """The candidate's ``bank`` in the base's raw residual units; None without maps.

        A feature fires on what the map makes of the base's state, and writes its mapped direction
        as strongly, compared with the norm of a state, as in the candidate.
        """
        if self.stitch is None:
            return None
        to_candidate = self.stitch.base_to_candidate
        encoder_KD = bank.encoder_KD.float()
        return FeatureBank(
            layer=self.layer,
            encoder_KD=encoder_KD @ to_candidate.weight,
            bias_K=bank.bias_K + encoder_KD @ to_candidate.bias_D,
            threshold_K=bank.threshold_K,
            decoder_KD=direction_in_other(self.stitch, bank.decoder_KD, "candidate").direction_KD,
            unit_K=bank.unit_K,
        )
