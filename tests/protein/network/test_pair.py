"""Contract: biases of pairs, alike or not, are those of the full pair representation."""

from dataclasses import replace

import pytest
import torch
from protein.network.examples import chain, small
from protein.network.golden_files import assert_close

from domains.protein.network import pair_vectors
from domains.protein.network.pair import bias_of_pairs
from domains.protein.network.pair_vectors import MASKED, DistinctPairs, EveryPair


@pytest.mark.parametrize("cached", [1, 10**6])
@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("kind", [DistinctPairs, EveryPair])
def test_biases_are_those_of_the_full_pairs(
    kind: type, gradient: bool, cached: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pair_vectors, "_CACHED_PAIRS", cached)
    network, inputs = small(), chain()
    registers = network.config.registers
    mask = torch.nn.functional.pad(inputs.mask, (registers, 0), value=True)
    layers = [layer.mhba.mha for layer in network.transformer_layers]
    with torch.set_grad_enabled(gradient):
        found = network.pair_repr_builder(inputs, registers)
        vectors = kind(found.embed, found.columns, found.mask, found.registers)
        bias = vectors.biases(torch.cat([layer.bias_weight() for layer in layers]))
        at_once = bias_of_pairs(DistinctPairs(**vars(vectors)).full(), mask, layers)
    for ours, full in zip(bias.unflatten(1, (len(layers), -1)).unbind(1), at_once, strict=True):
        rows = mask[:, None, :, None].expand_as(full)
        columns = mask[:, None, None].expand_as(full)
        assert_close(ours[rows & columns].detach(), full[rows & columns].detach(), 1e-5)
        for each in (ours, full):
            assert (each[rows & ~columns] < MASKED / 2).all()


@pytest.mark.parametrize("kind", [DistinctPairs, EveryPair])
def test_registers_and_padding_start_without_a_pair_representation(kind: type):
    network, inputs = small(), chain()
    pairs = kind(**vars(network.pair_repr_builder(inputs, 2))).full()
    assert pairs[:, :2].abs().max() == 0 and pairs[:, :, :2].abs().max() == 0
    assert pairs[1, 2 + 6 :].abs().max() == 0
    assert pairs[1, 2:8, 2:8].abs().amin(-1).max() > 0


def test_each_distinct_pair_is_embedded_once():
    network, inputs = small(), chain((9, 9))
    found = network.pair_repr_builder(inputs, 0)
    seen: list[int] = []

    def embed(columns: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
        seen.append(len(columns))
        return found.embed(columns, samples)

    assert isinstance(found, DistinctPairs)
    full = replace(found, embed=embed).full()
    kinds = {(s, *pair.tolist()) for s in range(2) for pair in found.columns[s].flatten(0, 1)}
    assert seen == [len(kinds)] and seen[0] < 2 * 81
    assert_close(full.detach(), EveryPair(**vars(found)).full().detach(), 1e-6)


def test_directions_are_not_sorted():
    network = small(feats_pair_repr=["rel_seq_sep", "xt_pair_directions"])
    assert isinstance(network.pair_repr_builder(chain(), 0), EveryPair)
