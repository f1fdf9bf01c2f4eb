"""Training cost in network calls, the one unit that all objectives share."""

from __future__ import annotations

from typing import Any

from domains.lazy import torch

__all__ = ["DIFFERENTIATED", "NetworkCalls"]

# A backward pass costs about two forward passes: the gradients of inputs and of weights.
DIFFERENTIATED = 3


class NetworkCalls:
    """Counts the forward passes of one sample; one that is differentiated counts three.

    So a budget of calls is the same for objectives whatever they do in a step: how long their
    roll-outs are, how many fake scores they train, whether they differentiate through the teacher.
    What is encoded once for a batch, and validation, are not counted.
    """

    def __init__(self) -> None:
        self.total = 0

    def __deepcopy__(self, _: dict[int, Any]) -> NetworkCalls:
        """Return this: a copy of a watched network is counted with it."""
        return self

    def add(self, samples: int, differentiated: bool) -> None:
        """Count one pass of a batch of ``samples``."""
        self.total += samples * (DIFFERENTIATED if differentiated else 1)

    def watch(self, network: torch.nn.Module) -> None:
        """Count whenever ``network`` is called."""
        network.register_forward_hook(self._called)

    def _called(self, _: torch.nn.Module, __: tuple[Any, ...], output: torch.Tensor) -> None:
        self.add(len(output), torch.is_grad_enabled() and output.requires_grad)
