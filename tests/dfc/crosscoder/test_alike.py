"""Bounds on the codes of two alike streams hold, and lead to the codes themselves."""

import torch
from torch import Tensor

from dfc.crosscoder.active import entries
from dfc.crosscoder.alike import Bounds, bounds

TOKENS, LATENTS, WIDTH = 40, 60, 12


def streams(apart: float, encoders_apart: float = 1.0) -> tuple[tuple[Tensor, Tensor], ...]:
    generator = torch.Generator().manual_seed(1)

    def pair(rows: int, part: float) -> tuple[Tensor, Tensor]:
        one, other = (torch.randn(rows, WIDTH, generator=generator) for _ in range(2))
        return one, one + part * other

    (x_BD, y_BD), (a_FD, b_FD) = pair(TOKENS, apart), pair(LATENTS, encoders_apart)
    return (x_BD, a_FD), (y_BD, b_FD)


def bounded(apart: float, encoders_apart: float = 1.0) -> tuple[Bounds, Tensor]:
    """With the codes themselves."""
    (x_BD, a_FD), (y_BD, b_FD) = parts = streams(apart, encoders_apart)
    found = bounds(*parts)
    assert found is not None
    return found, x_BD @ a_FD.T + y_BD @ b_FD.T


def test_no_code_is_above_its_bound_and_some_reach_it_nearly() -> None:
    for apart, encoders_apart in ((0.1, 1.0), (0.2, 0.5), (0.0, 1.0)):
        found, code_BF = bounded(apart, encoders_apart)
        bound_BF = found.x_BD @ found.encoder_FD.T
        assert (bound_BF >= code_BF - 1e-5).all()
        left_BF = bound_BF - found.means(bound_BF, slice(None))  # what the last term may reach
        assert (bound_BF - code_BF <= 2 * left_BF + 1e-5).all()
        assert ((bound_BF - code_BF) < 0.3 * left_BF + 1e-5).any()


def test_codes_are_computed_from_their_bounds() -> None:
    found, code_BF = bounded(0.1)
    where = entries((code_BF > 1.0).float())
    bound_N = (found.x_BD @ found.encoder_FD.T)[where.row_N, where.column_N]
    code_N = code_BF[where.row_N, where.column_N]
    assert 0 < len(code_N) < code_BF.numel()
    assert not torch.allclose(bound_N, code_N, atol=1e-2)
    assert torch.allclose(found.exactly(bound_N, where), code_N, atol=1e-5)


def test_streams_that_are_not_alike_are_not_bounded() -> None:
    (x_BD, a_FD), (y_BD, b_FD) = streams(0.1)
    assert bounds((x_BD, a_FD), (torch.randn_like(y_BD), b_FD)) is None
    assert bounds((x_BD, a_FD), (y_BD[:, :8], b_FD[:, :8])) is None
