"""What processes that train together tell each other; a single one waits for nobody."""

# torch.distributed has no types.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence

import torch
from torch import distributed, nn

__all__ = ["average_gradients", "first", "total"]


def total(count: int, processes: int, device: torch.device) -> int:
    """Return the sum of a count over all processes."""
    if processes == 1:
        return count
    summed = torch.tensor(count, device=device)
    distributed.all_reduce(summed)
    return int(summed)


def first(value: float, processes: int, device: torch.device) -> float:
    """Return the first process's value."""
    if processes == 1:
        return value
    told = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.broadcast(told, 0)
    return float(told)


def average_gradients(parameters: Sequence[nn.Parameter], processes: int) -> None:
    """Replace each gradient by its mean over all processes; a missing one counts as zero."""
    if processes == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)
        parameter.grad /= processes
