"""Contract: fused, in-place triangles are AlphaFold's formula, padding left out."""

import pytest
import torch
from protein.network.golden_files import assert_close
from torch import Tensor

from domains.protein.network import triangle as module
from domains.protein.network.triangle import TriangleMultiplication


def direct(layer: TriangleMultiplication, z: Tensor, real: Tensor) -> Tensor:
    """Algorithms 11 and 12, as printed."""
    normed = layer.layer_norm_in(z)
    a = layer.linear_a_p(normed) * layer.linear_a_g(normed).sigmoid() * real[..., None]
    b = layer.linear_b_p(normed) * layer.linear_b_g(normed).sigmoid() * real[..., None]
    edges = "bikc,bjkc->bijc" if layer.outgoing else "bkic,bkjc->bijc"
    product = layer.linear_z(layer.layer_norm_out(torch.einsum(edges, a, b)))
    return z + product * layer.linear_g(normed).sigmoid()


def example(outgoing: bool) -> tuple[TriangleMultiplication, Tensor, Tensor]:
    torch.manual_seed(0)
    layer = TriangleMultiplication(6, 5, outgoing)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    return layer, torch.randn(2, 7, 7, 6), mask[:, :, None] & mask[:, None]


@pytest.mark.parametrize("outgoing", [True, False])
@pytest.mark.parametrize("piece", [10, 1000])
def test_both_paths_are_the_formula(outgoing, piece, monkeypatch):
    monkeypatch.setattr(module, "_EDGES", piece)
    monkeypatch.setattr(module, "_CHANNELS", 3)
    layer, z, real = example(outgoing)
    expected = direct(layer, z, real.float()).detach()
    keep = z.clone()
    trained = layer(z, real.flatten().float())
    assert torch.equal(z, keep)
    with torch.no_grad():
        inferred = layer(z.clone(), real.flatten().float())
    assert_close(trained.detach()[real], expected[real], 1e-5)
    assert_close(inferred[real], expected[real], 1e-5)


@pytest.mark.parametrize("outgoing", [True, False])
def test_gradients_are_those_of_the_formula(outgoing):
    layer, z, real = example(outgoing)
    given = [z.clone().requires_grad_(True) for _ in range(2)]
    layer(given[0], real.flatten().float())[real].square().sum().backward()
    ours = {name: weight.grad.clone() for name, weight in layer.named_parameters()}
    layer.zero_grad()
    direct(layer, given[1], real.float())[real].square().sum().backward()
    assert_close(given[0].grad[real], given[1].grad[real], 1e-4)
    for name, weight in layer.named_parameters():
        assert_close(ours[name], weight.grad, 1e-4, name)
