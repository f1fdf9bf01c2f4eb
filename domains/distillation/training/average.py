"""The running average of the student's weights, which is what is sampled and kept."""

from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

__all__ = ["Best", "advance"]


@dataclass
class Best:
    """The average that scored best in validation."""

    score: float = float("-inf")
    step: int = -1
    weights: dict[str, Tensor] = field(default_factory=dict[str, Tensor])


@torch.no_grad()
def advance(average: nn.Module, student: nn.Module, decay: float) -> None:
    """Move an average towards the student: decay · average + (1 − decay) · student.

    Counters, such as a batch norm's, are copied.
    """
    pairs = list(
        zip(
            chain(average.parameters(), average.buffers()),
            chain(student.parameters(), student.buffers()),
            strict=True,
        )
    )
    moving = [pair for pair in pairs if pair[0].is_floating_point()]
    # One kernel for all of them on a GPU; the count is of no use to a running mean.
    get_ema_multi_avg_fn(decay)([a for a, _ in moving], [s for _, s in moving], 1)
    for ours, theirs in pairs:
        if not ours.is_floating_point():
            ours.copy_(theirs)
