"""Contract: biases by distinct codes are those of the full pair representation."""

import torch
from protein.network.examples import chain, small
from protein.network.golden_files import assert_close

from domains.protein.network.pair import MASKED, bias_of_codes, bias_of_pairs


def test_codes_and_full_pairs_give_the_same_attention():
    network, inputs = small(), chain()
    registers = network.config.registers
    mask = torch.nn.functional.pad(inputs.mask, (registers, 0), value=True)
    layers = [layer.mhba.mha for layer in network.transformer_layers]
    for gradient in (True, False):
        with torch.set_grad_enabled(gradient):
            pairs = network.pair_repr_builder(inputs)
            by_code = bias_of_codes(pairs, inputs.mask, registers, layers)
            by_pair = bias_of_pairs(pairs.full(inputs.mask, registers), mask, layers)
        for ours, full in zip(by_code, by_pair, strict=True):
            rows = mask[:, None, :, None].expand_as(full)
            columns = mask[:, None, None].expand_as(full)
            assert_close(ours[rows & columns].detach(), full[rows & columns].detach(), 1e-5)
            for bias in (ours, full):
                assert (bias[rows & ~columns] < MASKED / 2).all()


def test_registers_and_padding_start_without_a_pair_representation():
    network, inputs = small(), chain()
    pairs = network.pair_repr_builder(inputs).full(inputs.mask, 2)
    assert pairs[:, :2].abs().max() == 0 and pairs[:, :, :2].abs().max() == 0
    assert pairs[1, 2 + 6 :].abs().max() == 0
    assert pairs[1, 2:8, 2:8].abs().amin(-1).max() > 0


def test_each_distinct_code_is_embedded_once():
    network, inputs = small(), chain((9, 9))
    pairs = network.pair_repr_builder(inputs)
    assert len(pairs.vectors) <= 2 * 81
    assert pairs.index.unique().numel() == len(pairs.vectors)
