"""Optimisers and learning rates as functions of the step: nothing to save but moments."""

import math

import torch
from torch import nn
from torch.optim import Optimizer

from domains.distillation.training.settings import Optimiser

__all__ = ["build_optimiser", "learning_rate", "set_rate"]


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
    """Return the optimiser of a network's trainable parameters."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.Adam(trainable, lr=config.rate, betas=(config.beta1, config.beta2))


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Give all parameter groups one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
