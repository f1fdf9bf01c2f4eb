"""Activation checkpointing: layers whose activations are computed again for the gradient."""

# torch.utils.checkpoint has no types.
# pyright: reportUnknownVariableType=false

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

__all__ = ["run_layer"]

_Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


def run_layer(layer: nn.Module, *inputs: Any, recompute: bool) -> Any:
    """Run a layer; keep only its inputs for the gradient if it is to be computed again.

    Gradients are the same. Memory falls by what the layer keeps inside, and time grows by its
    forward pass (arXiv 1604.06174). Running statistics are updated once.

    Args:
        layer: Module without randomness.
        inputs: Its arguments.
        recompute: Whether to; without a gradient nothing is kept anyway.
    """
    if not (recompute and torch.is_grad_enabled()):
        return layer(*inputs)
    return checkpoint(
        layer,
        *inputs,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), _fixed_statistics(layer)),
    )


@contextmanager
def _fixed_statistics(layer: nn.Module) -> Generator[None, None, None]:
    """Keep a second forward pass from updating the running statistics again."""
    norms = [part for part in layer.modules() if isinstance(part, _Norm)]
    before = [(norm, norm.momentum, _count(norm)) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum = momentum
            if norm.num_batches_tracked is not None and count is not None:
                norm.num_batches_tracked.copy_(count)


def _count(norm: _Norm) -> torch.Tensor | None:
    return None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone()
