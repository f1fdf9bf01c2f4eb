"""What processes that train together tell each other; a single one waits for nobody."""

# torch.distributed has no types.
# pyright: reportUnknownMemberType=false

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from pytorch_lightning.strategies import DDPStrategy, Strategy
from torch import Tensor, distributed, nn

__all__ = ["average_gradients", "first", "total", "unsynchronised"]

# Values that are summed over the processes at a time: 25 MB, as in torch's own DDP.
_BUCKET = 25 * 2**18


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


def unsynchronised(strategy: Strategy) -> AbstractContextManager[Any]:
    """Keep DDP from averaging after each micro-batch: ``average_gradients`` does it once."""
    alone = not isinstance(strategy, DDPStrategy)
    return nullcontext() if alone else cast(Any, strategy.block_backward_sync())


def average_gradients(parameters: Sequence[nn.Parameter], processes: int) -> None:
    """Replace each gradient by its mean over all processes; a missing one counts as zero.

    Many are summed at a time: a call for each of hundreds costs more than what it sends.
    """
    if processes == 1:
        return
    gradients: list[Tensor] = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        together = torch.cat([gradient.reshape(-1) for gradient in bucket])
        distributed.all_reduce(together)
        together /= processes
        start = 0
        for gradient in bucket:
            gradient.copy_(together[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield neighbours of one type, together of at most ``_BUCKET`` values or single."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        other = bool(bucket) and gradient.dtype != bucket[0].dtype
        if bucket and (other or size + gradient.numel() > _BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel()
    if bucket:
        yield bucket
