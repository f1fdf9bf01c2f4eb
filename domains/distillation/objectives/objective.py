"""The contract of every distillation objective."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from domains.distillation.denoiser import Denoiser
from domains.distillation.noise import TimeDistribution
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.domain import Batch

__all__ = [
    "Objective",
    "ask_at",
    "ask_scores",
    "denoise",
    "denoise_at",
    "denoise_samples",
    "denoising_loss",
    "lag",
    "per_sample",
]


class Objective(ABC):
    """Two losses: one that keeps the fake scores honest, one that moves the student.

    An objective draws its roll-outs and times from ``draws`` and calls only the networks in
    ``roles``; it neither steps optimisers nor logs.
    """

    fake_scores: tuple[str, ...] = ()

    @abstractmethod
    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Return the loss of one fake score on fresh samples of the student."""

    @abstractmethod
    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Return the loss of the student."""


def per_sample(values: Float[Tensor, "b n 3"], batch: Batch) -> Float[Tensor, " b"]:
    """Return the sum over the real points of each sample."""
    return (values * batch.mask[..., None]).sum((1, 2))


def denoising_loss(
    estimate: Float[Tensor, "b n 3"],
    clean: Float[Tensor, "b n 3"],
    time: Float[Tensor, " b"],
    batch: Batch,
    process: NoiseProcess,
) -> Float[Tensor, " b"]:
    """Return w(t) · mean ‖x − D‖² of each sample: the teacher's own loss (Proteina, eq. 3)."""
    error = per_sample((estimate - clean) ** 2, batch) / (3 * batch.sizes)
    return error * process.denoising_weight(time)


def ask_scores(
    clean: Float[Tensor, "b n 3"],
    roles: Roles,
    batch: Batch,
    draws: Draws,
    times: TimeDistribution,
    *,
    gradient: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Noise samples of the student; return D_T and D_F of them [b, n, 3], and the times [b].

    Args:
        clean: Samples of the student.
        roles: Teacher, and the fake score called "fake".
        batch: Mask, origin, condition.
        draws: Numbers of this micro-batch.
        times: Where to ask.
        gradient: Differentiate through both scores.
    """
    time = times.sample(clean.shape[0], draws.source("time")).to(clean.device)
    noisy = roles.process.perturb(clean, draws.noise("noise")(batch.shape), time, batch)
    teacher, fake = ask_at(noisy, time, roles, batch, gradient=gradient)
    return teacher, fake, time


def ask_at(
    noisy: Float[Tensor, "b n 3"],
    time: Float[Tensor, " b"],
    roles: Roles,
    batch: Batch,
    name: str = "fake",
    *,
    gradient: bool,
) -> tuple[Tensor, Tensor]:
    """Return D_T and D_F of noised samples [b, n, 3], the fake score being that of ``name``."""
    assert roles.teacher is not None
    with torch.set_grad_enabled(gradient):
        return roles.teacher(noisy, time, batch), roles.fake(name)(noisy, time, batch)


def denoise_samples(
    denoiser: Denoiser, roles: Roles, batch: Batch, draws: Draws, times: TimeDistribution
) -> Loss:
    """Train a fake score on the student's current samples, as the teacher was on data."""
    clean = roles.play(batch, draws, gradient=False)
    return denoise(denoiser, clean, roles, batch, draws, times)


def denoise(
    denoiser: Denoiser,
    clean: Float[Tensor, "b n 3"],
    roles: Roles,
    batch: Batch,
    draws: Draws,
    times: TimeDistribution,
) -> Loss:
    """Return the teacher's own loss on ``clean``, noised at a random time."""
    time = times.sample(clean.shape[0], draws.source("time")).to(clean.device)
    noise = draws.noise("noise")(batch.shape)
    noisy = roles.process.perturb(clean, noise, time, batch)
    return denoise_at(denoiser, clean, noisy, time, roles, batch)


def denoise_at(
    denoiser: Denoiser,
    target: Float[Tensor, "b n 3"],
    noisy: Float[Tensor, "b n 3"],
    time: Float[Tensor, " b"],
    roles: Roles,
    batch: Batch,
    weight: Float[Tensor, " b"] | float = 1.0,
) -> Loss:
    """Return the teacher's own loss on points that are noised already, samples weighed."""
    estimate = denoiser(noisy, time, batch)
    loss = weight * denoising_loss(estimate, target, time, batch, roles.process)
    extra = roles.process.regulariser(estimate, noisy, time, batch)
    return Loss((loss + extra).mean(), {"denoising": loss.detach().mean()})


def lag(
    teacher: Tensor, fake: Tensor, clean: Tensor, time: Tensor, batch: Batch
) -> dict[str, Tensor]:
    """Return how far the fake score is from the teacher, and whether it has fallen behind.

    ``gap`` is the root mean square of D_F − D_T by time; ``lag`` the fake score's error on
    the student's samples relative to the teacher's: below 1 it knows them better.
    """
    with torch.no_grad():
        count = 3 * batch.sizes
        gap = (per_sample((fake - teacher) ** 2, batch) / count).sqrt()
        error = per_sample((fake - clean) ** 2, batch)
        reference = per_sample((teacher - clean) ** 2, batch)
        return {"gap": gap.mean(), "lag": (error / reference).mean(), **by_time("gap", gap, time)}
