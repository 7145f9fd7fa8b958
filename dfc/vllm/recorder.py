"""States that were asked for, put where they belong by position and never by order of arrival."""

from typing import NamedTuple

import torch
from torch import Tensor

from dfc.errors import ParityError


class Recording(NamedTuple):
    """States of one row at one layer."""

    x_TD: Tensor
    seen_T: Tensor


class Recorder:
    """Keeps states on the CPU until they are taken."""

    def __init__(self) -> None:
        self._recordings: dict[tuple[int, int], Recording] = {}

    def keep(self, row: int, layer: int, length: int, positions: slice, x_ND: Tensor) -> None:
        """States of ``row``, of which ``length`` positions are wanted, at these positions. The same
        position may come twice, when a row is interrupted and starts over."""
        key = (row, layer)
        if key not in self._recordings:
            self._recordings[key] = Recording(
                torch.empty(length, x_ND.shape[1], dtype=x_ND.dtype),
                torch.zeros(length, dtype=torch.bool),
            )
        recording = self._recordings[key]
        recording.x_TD[positions] = x_ND
        recording.seen_T[positions] = True

    def take(self) -> dict[tuple[int, int], Tensor]:
        """All states [length, D] by (row, layer), which are then forgotten.

        Raises ParityError when a position is missing.
        """
        taken, self._recordings = self._recordings, {}
        for (row, layer), recording in taken.items():
            if not recording.seen_T.all():
                missing = int((~recording.seen_T).sum())
                raise ParityError(
                    f"{missing} of {len(recording.seen_T)} positions of row {row} did not pass the "
                    f"hook on layer {layer}; a cached prefix or a compiled model went around it"
                )
        return {key: recording.x_TD for key, recording in taken.items()}
