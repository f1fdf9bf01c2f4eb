"""Contract: a new network starts with closed gates and depends on its seed alone."""

import torch
from protein.network.examples import small

from domains.protein.network.initialise import initialise
from domains.protein.network.layers import OutputScale
from domains.protein.network.pair import PairTransition
from domains.protein.network.triangle import TriangleMultiplication

TRIANGLES = {"update_pair_repr": True, "use_tri_mult": True, "update_pair_repr_every_n": 1}


def test_gates_start_almost_closed_and_pair_updates_at_zero():
    network = small(**TRIANGLES)
    initialise(network, seed=3)
    found = {OutputScale: 0, TriangleMultiplication: 0, PairTransition: 0}
    for module in network.modules():
        if type(module) in found:
            found[type(module)] += 1
        if isinstance(module, OutputScale):
            gate = module.to_adaln_zero_gamma[0]
            assert gate.weight.abs().max() == 0 and (gate.bias == -2).all()
        if isinstance(module, TriangleMultiplication):
            assert module.linear_z.weight.abs().max() == 0
            assert (module.linear_g.bias == 1).all()
        if isinstance(module, PairTransition):
            assert module.linear_2.weight.abs().max() == 0
    assert all(found.values())


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    weights = []
    for seed in (1, 1, 2):
        network = small(**TRIANGLES)
        before = torch.random.get_rng_state()
        initialise(network, seed)
        assert torch.equal(before, torch.random.get_rng_state())
        weights.append(torch.nn.utils.parameters_to_vector(network.parameters()).detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert weights[0].isfinite().all()
