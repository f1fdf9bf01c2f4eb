"""Initial weights of a Proteina network trained from scratch (arXiv 2503.00710)."""

import torch
from torch import nn

from domains.protein.network.layers import OutputScale
from domains.protein.network.pair import PairTransition
from domains.protein.network.proteina import Proteina
from domains.protein.network.triangle import TriangleMultiplication

__all__ = ["initialise"]

# sigmoid(−2) ≈ 0.12: every block starts almost closed.
_GATE_BIAS = -2.0
# Standard deviation of a normal distribution truncated at ±2 and rescaled to 1.
_TRUNCATED = 0.8796


def initialise(network: Proteina, seed: int) -> None:
    """Give all parameters their initial values, in place.

    Args:
        network: Any Proteina network; modules without a rule below keep torch's defaults.
        seed: Seed of all draws.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Embedding | nn.LayerNorm):
                module.reset_parameters()
        for module in network.modules():
            if isinstance(module, OutputScale):
                gate = module.to_adaln_zero_gamma[0]
                _fill(gate, weight=0.0, bias=_GATE_BIAS)
            elif isinstance(module, TriangleMultiplication):
                _triangle(module)
            elif isinstance(module, PairTransition):
                _truncated(module.linear_1, gain=2.0)
                _fill(module.linear_2, weight=0.0, bias=0.0)
        if network.config.registers:
            nn.init.normal_(network.registers, std=1 / 20)


def _triangle(module: TriangleMultiplication) -> None:
    for gate in (module.linear_a_g, module.linear_b_g, module.linear_g):
        _fill(gate, weight=0.0, bias=1.0)
    for linear in (module.linear_a_p, module.linear_b_p):
        _truncated(linear, gain=1.0)
    _fill(module.linear_z, weight=0.0, bias=0.0)


def _truncated(linear: nn.Linear, gain: float) -> None:
    """Truncated normal with variance gain / fan-in: LeCun (1) or He (2)."""
    std = (gain / linear.in_features) ** 0.5 / _TRUNCATED
    nn.init.trunc_normal_(linear.weight, std=std, a=-2 * std, b=2 * std)
    nn.init.zeros_(linear.bias)


def _fill(linear: nn.Module, weight: float, bias: float) -> None:
    assert isinstance(linear, nn.Linear)
    nn.init.constant_(linear.weight, weight)
    nn.init.constant_(linear.bias, bias)
