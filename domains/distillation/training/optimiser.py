"""Optimisers and learning rates as functions of the step: nothing to save but moments."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from domains.distillation.training.muon import MuonAdam, inner_matrices
from domains.distillation.training.settings import Optimiser
from domains.errors import FewstepError

__all__ = [
    "build_optimiser",
    "fuse",
    "learn_only",
    "learning_rate",
    "set_rate",
    "step_if_finite",
    "unfused_state",
]


def learning_rate(config: Optimiser, step: int, done: float) -> float:
    """Return the learning rate of update ``step`` (from 0), ``done`` of the training behind it."""
    floor = min(config.floor, config.rate)
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    if config.schedule == "constant":
        return warm * config.rate
    if config.schedule == "cosine":
        progress = done
    else:
        start, period = 0, config.period
        while step - start >= period:
            start, period = start + period, 2 * period
        progress = (step - start) / period
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return warm * (floor + (config.rate - floor) * cosine)


def build_optimiser(network: nn.Module, config: Optimiser) -> Optimizer:
    """Return the optimiser of a network's trainable parameters.

    Raises:
        FewstepError: It should be Muon, and nothing is for it to step.
    """
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    betas = (config.beta1, config.beta2)
    if config.method == "adam":
        return torch.optim.Adam(trainable, lr=config.rate, betas=betas)
    if not (matrices := inner_matrices(network)):
        raise FewstepError(
            "method: muon has nothing to step",
            expected="linear layers of 16 and more channels",
            got="none that is trained",
            do="Train by adam",
        )
    inner = {*matrices}
    others = [parameter for parameter in trainable if parameter not in inner]
    return MuonAdam(matrices, others, config.rate, betas)


def learn_only(role: str, trainable: Mapping[str, Sequence[nn.Parameter]]) -> None:
    """Let the gradients of one role's parameters be taken, and of no other's."""
    for name, parameters in trainable.items():
        for parameter in parameters:
            parameter.requires_grad_(name == role)


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Give all parameter groups one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def fuse(optimiser: Optimizer) -> None:
    """Let Adam step in one kernel (Muon has none), on the device that its parameters have come to.

    Numbers differ in the last bits from those of a loop over the parameters.
    """
    for group in optimiser.param_groups:
        group["fused"], group["foreach"] = True, False
        for parameter in group["params"]:
            kept = optimiser.state.get(parameter)
            # Of a resumed training: Lightning leaves the count of steps where it is.
            if kept and "step" in kept:
                kept["step"] = kept["step"].to(parameter.device, torch.float32)


def step_if_finite(optimiser: Optimizer, finite: Tensor) -> None:
    """Make a step of a fused optimiser where ``finite`` [] is true, without asking for it.

    Else weights and moments stay as they are.
    """
    optimiser.grad_scale, optimiser.found_inf = None, (~finite).float()  # type: ignore[attr-defined]
    optimiser.step()


def unfused_state(optimiser: Optimizer) -> dict[str, Any]:
    """Return an optimiser's state as any device may take it up."""
    state = optimiser.state_dict()
    groups = [{**group, "fused": None, "foreach": None} for group in state["param_groups"]]
    return {**state, "param_groups": groups}
