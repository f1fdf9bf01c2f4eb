"""Toy cases without a field: tiny networks, and Gaussians whose answers are known.

The Gaussian data set is x = shift · m + std · ε around a centred template m [n, 3]; centring
leaves it Gaussian, with 3(n − 1) instead of 3n degrees of freedom.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from distillation.make import make
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.noise import generator
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.vsd import VSD
from domains.distillation.process import FlowMatching
from domains.distillation.roles import Draws, RollOut
from domains.distillation.sampling.sampler import last, renoise
from domains.distillation.times import Times
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.plan import Plan
from domains.distillation.training.settings import Fit, Optimiser

TIMES = Times(kind="beta", low=0.02, high=0.98)


def blank(sizes: Sequence[int], length: int | None = None) -> Batch:
    """Batch of these sizes, padded to ``length``."""
    mask = torch.arange(length or max(sizes))[None] < torch.tensor(sizes)[:, None]
    return Batch(mask)


def template(count: int) -> Tensor:
    """Centred points of mean square 1."""
    points = torch.randn(count, 3, generator=generator("template", count))
    points = points - points.mean(0)
    return points / points.square().mean().sqrt()


def slope(std: Tensor | float, time: Tensor) -> Tensor:
    """Return k of the posterior mean E[x | x_t] = μ + k (x_t − t μ) of N(μ, std²)."""
    return time * std**2 / (time**2 * std**2 + (1 - time) ** 2)


class GaussianDenoiser(nn.Module):
    """The exact clean estimate of N(shift · m, std²) under flow matching."""

    def __init__(self, shift: float, std: float, count: int):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(float(shift)))
        self.std = nn.Parameter(torch.tensor(float(std)))
        self.register_buffer("template", template(count))

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        t = time[:, None, None]
        mean = self.shift * self.template
        return (mean + slope(self.std, t) * (noisy - t * mean)) * batch.mask[..., None]


class GaussianStudent(nn.Module):
    """A generator whose sample is N(shift · m, std²) at every step of its roll-out.

    It divides the noisy point's deviation by its known standard deviation: 1 − t at the first
    step, sqrt(t² std² + (1 − t)²) later, with the present parameters as constants.
    """

    def __init__(self, shift: float, std: float, count: int, first: float):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(float(shift)))
        self.std = nn.Parameter(torch.tensor(float(std)))
        self.first = first
        self.register_buffer("template", template(count))

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        t = time[:, None, None]
        shift, std = self.shift.detach(), self.std.detach()
        started = (t > self.first + 1e-6).float()
        spread = (started * (t * std) ** 2 + (1 - t) ** 2).sqrt()
        unit = (noisy - started * t * shift * self.template) / spread
        return (self.shift * self.template + self.std * unit) * batch.mask[..., None]


class ToyDenoiser(nn.Module):
    """A small network over sets: equivariant to permutation, blind to padding."""

    def __init__(self, seed: int = 0, width: int = 12):
        super().__init__()
        self.lift, self.drop = nn.Linear(5, width), nn.Linear(2 * width, 3)
        source = generator("toy", seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=source))

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        mask, t = batch.mask[..., None], time[:, None, None].expand(*noisy.shape[:2], 1)
        noisy = noisy * mask
        squared = noisy.square().mean(-1, keepdim=True)
        hidden = torch.tanh(self.lift(torch.cat([noisy, squared, t], -1))) * mask
        pooled = hidden.sum(1, keepdim=True) / batch.sizes[:, None, None]
        both = torch.cat([hidden, pooled.expand_as(hidden)], -1)
        return (0.5 * noisy + self.drop(both).float()) * mask


@dataclass(frozen=True)
class SetDraws(Draws):
    """Draws whose noise does not depend on the padded length, and may be permuted.

    Attributes:
        mask: Real points; everything else gets ``fill``.
        count: Points that numbers are drawn for.
        order: Permutation of the points, or None.
        fill: Noise at masked points and padding.
    """

    mask: Tensor = field(default_factory=lambda: torch.ones(1, 1, dtype=torch.bool))
    count: int = 1
    order: Tensor | None = None
    fill: float = 0.0

    def noise(self, name: str) -> Any:
        source = self.source(name)

        def draw(shape: tuple[int, int, int]) -> Tensor:
            made = torch.full(shape, self.fill)
            made[:, : self.count] = torch.randn(shape[0], self.count, 3, generator=source)
            made = torch.where(self.mask[..., None], made, self.fill)
            return made if self.order is None else made[:, self.order]

        return draw


def blank_batches(_: int, draws: Draws) -> Batch:
    """Micro-batches of random sizes."""
    return blank([4 + draws.integer(f"size {k}", 4) for k in range(2)], 8)


def toy_plan(
    objective: Objective | None = None,
    *,
    batches: Callable[[int, Draws], Batch] = blank_batches,
    rate: float = 0.01,
    clip: float = 1.0,
    fit: dict[str, Any] | None = None,
    steps: int = 2,
    **changes: Any,
) -> Plan:
    """A plan with VSD, two-step roll-outs and Adam; ``fit`` and ``changes`` override."""
    objective = objective or make(VSD, times=TIMES)
    roles = ("student", *objective.fake_scores)
    optimiser = Optimiser(rate=rate, clip=clip, schedule="cosine_restarts", period=5, warmup=3)
    process = FlowMatching()
    return Plan(
        objective=objective,
        process=process,
        batches=batches,
        fit=Fit(**{"steps": 3, "log_every": 1} | (fit or {})),
        optimisers=dict.fromkeys(roles, optimiser),
        roll_out=RollOut(process.times(steps)),
        **changes,
    )


def toy_distiller(plan: Plan | None = None, **settings: Any) -> Distiller:
    """A distiller of toy networks, equal however often it is made."""
    plan = plan or toy_plan(**settings)
    return Distiller(plan, ToyDenoiser(1), ToyDenoiser(0))


def toy_validation(distiller: Distiller) -> dict[str, float]:
    """Score the average by one batch of samples; the best is neither first nor last."""
    plan, batch = distiller.plan, blank([6, 8])
    noise = Draws(("validation",)).noise("noise")
    points = last(renoise(distiller.average, plan.process, batch, plan.process.times(2), noise))
    wobble = float(torch.rand((), generator=generator("quality", distiller.done)))
    return {"quality": wobble + 0.1 * float(points.square().mean()), "size": float(points.std())}
