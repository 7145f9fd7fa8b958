"""Products without the zeros equal the plain ones, forward and backward."""

import pytest
import torch
from torch import Tensor

from dfc.crosscoder.active import Entries, entries
from dfc.crosscoder.sparse_products import PLAIN_FROM, Active, is_sparse, read, write


def code(active: float, rows: int = 40, latents: int = 30) -> Tensor:
    """About this share of the entries is not zero; some rows and columns are empty."""
    generator = torch.Generator().manual_seed(0)
    code_BF = torch.rand(rows, latents, generator=generator) + 0.1
    code_BF = code_BF * (torch.rand(rows, latents, generator=generator) < active)
    code_BF[3] = code_BF[-1] = 0
    code_BF[:, 5] = code_BF[:, 0] = code_BF[:, -1] = 0
    return code_BF


def values(code_BF: Tensor) -> tuple[Entries, Tensor]:
    found = entries(code_BF)
    return found, code_BF[found.row_N, found.column_N]


def leaf(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))).requires_grad_()


@pytest.mark.parametrize("active", [0.0, 0.05, 0.9])
def test_writing_equals_the_plain_product(active: float) -> None:
    found, value_N = values(code(active))
    value_N.requires_grad_()
    decoder_FD = leaf(30, 7)
    out_BD = write(Active(found, value_N), decoder_FD)
    (out_BD * torch.arange(7)).sum().backward()
    code_BF, plain_FD = code(active).requires_grad_(), leaf(30, 7)
    plain_BD = code_BF @ plain_FD
    (plain_BD * torch.arange(7)).sum().backward()
    assert torch.allclose(out_BD, plain_BD, atol=1e-5)
    assert torch.allclose(decoder_FD.grad, plain_FD.grad, atol=1e-5)
    assert torch.allclose(value_N.grad, code_BF.grad[found.row_N, found.column_N], atol=1e-5)
    assert bool(decoder_FD.grad.abs().sum() > 0) == (active > 0)


@pytest.mark.parametrize("active", [0.0, 0.05, 0.9])
def test_reading_learns_as_the_plain_product(active: float) -> None:
    found, value_N = values(code(active))
    weight_BF = torch.rand(40, 30, generator=torch.Generator().manual_seed(7))
    states = [leaf(40, 7).detach(), leaf(40, 5).detach()]
    encoders, bias_F = [leaf(30, 7), leaf(30, 5)], leaf(30)
    codes = read(list(zip(states, encoders, strict=True)), bias_F, Active(found, value_N))
    assert torch.equal(codes.value_N, value_N)
    (codes.value_N * weight_BF[found.row_N, found.column_N]).sum().backward()
    kept_BF = weight_BF * (code(active) > 0)
    for x_BD, encoder_FD in zip(states, encoders, strict=True):
        assert torch.allclose(encoder_FD.grad, kept_BF.T @ x_BD, atol=1e-5)
    assert torch.allclose(bias_F.grad, kept_BF.sum(0), atol=1e-5)


def test_codes_are_their_entries_and_back() -> None:
    code_BF = code(0.3)
    active = Active(*values(code_BF))
    assert torch.equal(active.dense(), code_BF)
    assert torch.equal(active.fired(), code_BF.amax(0) > 0)
    assert active.fired().any() and not active.fired().all()


@pytest.mark.parametrize("active", [0.0, 0.05, 0.9])
def test_dense_codes_are_written_alike_with_and_without_a_gradient(active: float) -> None:
    decoder_FD = leaf(30, 7)
    without = write(code(active), decoder_FD.detach())
    with_gradient = write(code(active).requires_grad_(), decoder_FD)
    assert torch.allclose(without, with_gradient, atol=1e-5)
    with_gradient.sum().backward()
    assert decoder_FD.grad is not None


def test_a_gradient_reaches_the_decoder_of_dense_codes_that_have_none() -> None:
    decoder_FD = leaf(30, 7)
    write(code(0.05), decoder_FD).sum().backward()
    assert torch.allclose(decoder_FD.grad, code(0.05).sum(0)[:, None].expand(30, 7), atol=1e-5)


def test_the_share_decides_which_product_is_taken() -> None:
    like = torch.zeros(1)
    bound = PLAIN_FROM[torch.float32]
    assert is_sparse(bound / 2, like, torch.float32) == torch.backends.mkl.is_available()
    assert not is_sparse(bound, like, torch.float32)
    assert not is_sparse(bound / 2, like, torch.bfloat16)
    assert not is_sparse(0.0, like, torch.float16)
