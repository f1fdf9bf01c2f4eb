"""Contract: biases made sample by sample are those of the full pair representation."""

import pytest
import torch
from protein.network.examples import chain, small
from protein.network.golden_files import assert_close

from domains.protein.network import pair
from domains.protein.network.pair import MASKED, bias_of_pairs


@pytest.mark.parametrize("cached", [1, 10**6])
@pytest.mark.parametrize("gradient", [True, False])
def test_biases_are_those_of_the_full_pairs(
    gradient: bool, cached: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pair, "_CACHED_PAIRS", cached)
    network, inputs = small(), chain()
    builder, registers = network.pair_repr_builder, network.config.registers
    mask = torch.nn.functional.pad(inputs.mask, (registers, 0), value=True)
    layers = [layer.mhba.mha for layer in network.transformer_layers]
    with torch.set_grad_enabled(gradient):
        piecewise = builder.biases(inputs, registers, layers)
        at_once = bias_of_pairs(builder(inputs, registers), mask, layers)
    for ours, full in zip(piecewise, at_once, strict=True):
        rows = mask[:, None, :, None].expand_as(full)
        columns = mask[:, None, None].expand_as(full)
        assert_close(ours[rows & columns].detach(), full[rows & columns].detach(), 1e-5)
        for bias in (ours, full):
            assert (bias[rows & ~columns] < MASKED / 2).all()


def test_registers_and_padding_start_without_a_pair_representation():
    network, inputs = small(), chain()
    pairs = network.pair_repr_builder(inputs, 2)
    assert pairs[:, :2].abs().max() == 0 and pairs[:, :, :2].abs().max() == 0
    assert pairs[1, 2 + 6 :].abs().max() == 0
    assert pairs[1, 2:8, 2:8].abs().amin(-1).max() > 0
