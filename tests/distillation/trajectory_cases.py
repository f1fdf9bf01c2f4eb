"""Students whose deterministic roll-outs are known: Gaussians of one first noise."""

from dataclasses import dataclass

import torch
from distillation.gaussian_cases import COUNT, DEGREES, Gradient, mean_size
from distillation.toy import slope, template
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.roles import Draws

TEACHER_STD = 0.5


@dataclass(frozen=True)
class Chosen(Draws):
    """Draws that always take one step of a roll-out."""

    step: int = 0

    def integer(self, name: str, below: int) -> int:
        return self.step if name == "step" else super().integer(name, below)


class Trajectory(nn.Module):
    """A student whose clean estimate is a m + c ε at every step, ε the first noise.

    The point is then μ_k m + s_k ε, of the present parameters as constants: it starts with 0 and
    1 − t, and an Euler step to t' makes h of itself, h = (1 − t')/(1 − t), and t' − h t of the
    estimate.
    """

    def __init__(self, shift: float, std: float, times: Tensor):
        super().__init__()
        self.shift, self.std = (nn.Parameter(torch.tensor(value)) for value in (shift, std))
        self.times = [*times.tolist(), 1.0]

    def places(self) -> list[Gradient]:
        """Return μ and s at each time, and at the end."""
        found = [(0.0, 1 - self.times[0])]
        for time, after in zip(self.times, self.times[1:], strict=False):
            h = (1 - after) / (1 - time)
            (mean, spread), g = found[-1], after - h * time
            shift, std = self.shift.item(), self.std.item()
            found.append((h * mean + g * shift, h * spread + g * std))
        return found

    def forward(self, noisy: Tensor, time: Tensor, batch: Batch, previous=None) -> Tensor:
        at = min(range(len(self.times)), key=lambda k: abs(self.times[k] - float(time[0])))
        mean, spread = self.places()[at]
        unit = (noisy - mean * template(COUNT)) / spread
        return self.shift * template(COUNT) + self.std * unit


def marginal(student: Trajectory, step: int) -> Gradient:
    """Shift and std of the data whose noised marginals are those of the step's stretch."""
    end, (mean, spread) = student.times[step + 1], student.places()[step + 1]
    return mean / end, (spread**2 - (1 - end) ** 2) ** 0.5 / end


def inside(student: Trajectory, step: int) -> float:
    """A time of the step's stretch."""
    return 0.4 * student.times[step] + 0.6 * student.times[step + 1]


def gradient_by_hand(
    estimate: Gradient, place: Gradient, end: float, tau: float, fake_std: float
) -> Gradient:
    """Gradient in shift and std of a DMD loss at time τ, of a point that has come to time t'.

    ``estimate`` is a and c of x = a m + c ε, ``place`` μ and s of x_t' = μ m + s ε; M and S are
    those times τ/t'. With x_τ = M m + S ε + β ε' it is w E[Δ ∂x/∂θ],
    Δ = (M/τ − a_T)(1 − τ k_T) m + (k_F − k_T)(S ε + β ε').
    """
    k, k_fake = (float(slope(s, torch.tensor(tau))) for s in (TEACHER_STD, fake_std))
    mean, spread = (value * tau / end for value in place)
    beta = ((1 - tau) ** 2 - ((1 - end) * tau / end) ** 2) ** 0.5
    off = (estimate[0] - (1 - tau * k) - k * mean) * template(COUNT).double()
    w = 1 / mean_size(off, DEGREES * ((estimate[1] - k * spread) ** 2 + (k * beta) ** 2))
    return w * (mean / tau - 1) * (1 - tau * k), w * DEGREES * (k_fake - k) * spread


class Flow(nn.Module):
    """The perfect student of N(m, .5²): its Euler steps are the ODE's, however large.

    The ODE keeps u = (x_t − t m)/r(t), r² = t² .5² + (1 − t)².
    """

    def __init__(self, times: Tensor):
        super().__init__()
        self.times = [*times.tolist(), 1.0]

    def forward(self, noisy: Tensor, time: Tensor, batch: Batch, previous=None) -> Tensor:
        at = float(time[0])
        after = min(other for other in self.times if other > at)
        r, r_after = (((t * TEACHER_STD) ** 2 + (1 - t) ** 2) ** 0.5 for t in (at, after))
        unit = (noisy - at * template(COUNT)) / r
        moved = after * template(COUNT) + r_after * unit
        return noisy + (1 - at) * (moved - noisy) / (after - at)
