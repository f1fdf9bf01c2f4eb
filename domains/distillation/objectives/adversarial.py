"""A discriminator beside another objective: SiD with it is SiDA, VSD with it is DMD2.

It sees what the teacher never knew: real data. As in SiDA (arXiv 2410.14919) the fake score's
own features say how real a noised sample looks, so that no network is added; DMD2 (2405.14867)
does the same with a head of its own.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from domains.distillation.denoiser import Denoiser
from domains.distillation.objectives.objective import Objective
from domains.distillation.roles import Draws, Loss, Roles
from domains.domain import Batch

__all__ = ["Adversarial", "Judge", "Listener", "mean_logit"]

# Clean estimate and a logit of each point, high where it looks real, of one network call.
Judge = Callable[[Denoiser, Tensor, Tensor, Batch], tuple[Tensor, Tensor]]


class Adversarial(Objective):
    """Adds the loss of a discriminator on noised samples (Diffusion-GAN, non-saturating).

    Args:
        base: The objective; it calls the fake score with noised samples of the student.
        judge: What the fake score's features say (see ``Domain.judge``).
        examples: Real data, as many as there are samples in a micro-batch.
        weight: Of the student's term.
        critic_weight: Of the fake score's term.
    """

    def __init__(
        self,
        base: Objective,
        judge: Judge,
        examples: Callable[[Draws], Batch],
        weight: float,
        critic_weight: float,
    ):
        self.base, self.judge, self.examples = base, judge, examples
        self.weight, self.critic_weight = weight, critic_weight
        self.fake_scores = base.fake_scores

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Learn the student's score, and to tell its samples from real data at the same times."""
        listener = Listener(roles, name, self.judge)
        loss = self.base.fake_score_loss(name, listener.roles, batch, draws)
        real = self.examples(draws)
        assert real.points is not None
        noise = draws.noise("noise of real data")(real.shape)
        noisy = roles.process.perturb(real.points, noise, listener.time, real)
        logits = listener.judged(noisy, listener.time, real)[1]
        critic = mean_logit(F.softplus(listener.logits), batch).mean()
        critic = critic + mean_logit(F.softplus(-logits), real).mean()
        told = (mean_logit(listener.logits, batch) < 0).float().mean()
        told = (told + (mean_logit(logits, real) > 0).float().mean()) / 2
        noted = {"critic": critic.detach(), "told_apart": told}
        return Loss(loss.value + self.critic_weight * critic, {**loss.diagnostics, **noted})

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Follow the objective, and look real."""
        (name,) = self.fake_scores
        listener = Listener(roles, name, self.judge)
        loss = self.base.student_loss(listener.roles, batch, draws)
        looks = self.looks_real(listener, batch)
        return Loss(loss.value + self.weight * looks.value, loss.diagnostics | looks.diagnostics)

    def looks_real(self, listener: "Listener", batch: Batch) -> Loss:
        """Return the student's adversarial term, without its weight."""
        looks = mean_logit(F.softplus(-listener.logits), batch).mean()
        return Loss(looks, {"adversarial": looks.detach()})


class Listener:
    """A fake score that keeps what the judge said of its first call, with its gradient.

    A guided fake score is called twice, first with the condition.

    Args:
        roles: Who takes part; ``self.roles`` are the same with this in the fake score's place.
        name: Of the fake score.
        judge: What its features say.
    """

    def __init__(self, roles: Roles, name: str, judge: Judge):
        self.denoiser, self.calls, self.judge = roles.fakes[name], roles.calls, judge
        self.roles = replace(roles, fakes={**roles.fakes, name: self})
        self.time: Tensor = torch.empty(0)
        self.logits: Tensor = torch.empty(0)

    def __call__(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        """Return the clean estimate (see ``Denoiser``)."""
        with torch.enable_grad():
            clean, logits = self.judged(noisy, time, batch)
        if not len(self.time):
            self.time, self.logits = time, logits
        return clean if torch.is_grad_enabled() else clean.detach()

    def judged(self, noisy: Tensor, time: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return clean estimate and logits; the judge calls no ``forward`` that would count."""
        self.calls.add(len(noisy), differentiated=True)
        return self.judge(self.denoiser, noisy, time, batch)


def mean_logit(values: Float[Tensor, "b n"], batch: Batch) -> Float[Tensor, " b"]:
    """Return the mean over the real points of each sample."""
    return (values * batch.mask).sum(1) / batch.sizes
