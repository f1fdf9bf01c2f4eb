"""Tables of learnt rows, which cost nothing to set up where their values are read from a file."""

import torch
from torch import nn

__all__ = ["learnt_rows"]


def learnt_rows(rows: int, width: int, over: float = 1.0) -> nn.Parameter:
    """Return a parameter of normal random numbers, or of none on the meta device.

    Drawing there makes torch import its compiler, which takes longer than reading a model.

    Args:
        rows: How many.
        width: Of each.
        over: One over their standard deviation.
    """
    values = torch.empty(rows, width)
    return nn.Parameter(values if values.is_meta else values.normal_().div_(over))
