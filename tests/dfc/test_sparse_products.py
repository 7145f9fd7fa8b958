"""Products without the zeros equal the plain ones, forward and backward."""

import pytest
import torch
from torch import Tensor

from dfc.batch_topk import keep_above
from dfc.sparse_products import PLAIN_FROM, read, write


def code(active: float, rows: int = 40, latents: int = 30) -> Tensor:
    """About this share of the entries is not zero; some rows and columns are empty."""
    generator = torch.Generator().manual_seed(0)
    code_BF = torch.rand(rows, latents, generator=generator) + 0.1
    code_BF = code_BF * (torch.rand(rows, latents, generator=generator) < active)
    code_BF[3] = code_BF[-1] = 0
    code_BF[:, 5] = code_BF[:, 0] = 0
    return code_BF


def leaf(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))).requires_grad_()


@pytest.mark.parametrize("active", [0.0, 0.05, 0.1, 0.9])
def test_writing_equals_the_plain_product(active: float) -> None:
    sides = []
    for product in (write, torch.matmul):
        code_BF, decoder_FD = code(active).requires_grad_(), leaf(30, 7)
        out_BD = product(keep_above(code_BF, code_BF.detach(), torch.tensor(1e-9)), decoder_FD)
        (out_BD * torch.arange(7)).sum().backward()
        sides.append((out_BD, code_BF.grad, decoder_FD.grad))
    for ours, plain in zip(*sides, strict=True):
        assert torch.allclose(ours, plain, atol=1e-5)
    assert (sides[0][1].abs().sum() > 0) == (active > 0)


@pytest.mark.parametrize("active", [0.0, 0.05, 0.9])
def test_reading_equals_the_plain_product(active: float) -> None:
    sides = []
    for product in (read, lambda x_BD, encoder_FD: x_BD @ encoder_FD.T):
        encoder_FD = leaf(30, 7)
        out_BF = product(leaf(40, 7).detach(), encoder_FD)
        (out_BF * code(active)).sum().backward()
        sides.append((out_BF, encoder_FD.grad))
    for ours, plain in zip(*sides, strict=True):
        assert torch.allclose(ours, plain, atol=1e-5)


def test_what_is_read_may_need_a_gradient_too() -> None:
    x_BD, encoder_FD = leaf(40, 7), leaf(30, 7).detach()
    (read(x_BD, encoder_FD) * code(0.05)).sum().backward()
    assert torch.allclose(x_BD.grad, code(0.05) @ encoder_FD, atol=1e-5)


def test_a_short_format_is_kept() -> None:
    sides = []
    for product in (write, torch.matmul):
        code_BF, decoder_FD = code(0.01).bfloat16().requires_grad_(), leaf(30, 7)
        with torch.autocast("cpu", torch.bfloat16):
            out_BD = product(code_BF, decoder_FD)
        out_BD.float().pow(2).sum().backward()
        sides.append((out_BD.float(), decoder_FD.grad))
        assert code_BF.grad.dtype is torch.bfloat16
    for ours, plain in zip(*sides, strict=True):
        assert torch.allclose(ours, plain, rtol=0.05, atol=0.05)
    assert PLAIN_FROM[torch.bfloat16] > 0.01
