"""A discriminator beside another objective: SiD with it is SiDA, VSD with it is DMD2.

It sees what the teacher never knew: real data. As in SiDA (arXiv 2410.14919) the fake score's
own features say how real a noised sample looks, so that no network is added; DMD2 (2405.14867)
does the same with a head of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.distillation.objectives.objective import Judge, Objective, ObjectiveConfig, Resources
from domains.distillation.roles import Draws, Loss, Roles
from domains.lazy import torch
from domains.settings import Config

__all__ = ["Adversarial", "AdversarialConfig", "Listener", "mean_logit", "with_discriminator"]


class AdversarialConfig(Config):
    """A discriminator on the fake score's features, which sees real data."""

    weight: float = Field(default=0.01, gt=0)
    """Of the student's adversarial term, beside the objective's own."""
    critic_weight: float = Field(default=0.1, gt=0)
    """Of the discriminator's loss, beside the fake score's own."""


class Adversarial(Objective[ObjectiveConfig]):
    """Adds the loss of a discriminator on noised samples (Diffusion-GAN, non-saturating).

    Args:
        base: The objective; it calls the fake score with noised samples of the student.
        adversarial: Weights of the two losses.
        resources: The field's judge, and its real data.
    """

    def __init__(self, base: Objective[Any], adversarial: AdversarialConfig, resources: Resources):
        super().__init__(base.settings)
        self.base, self.adversarial = base, adversarial
        self.judge, self.examples = resources.judge(), resources.examples()
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
        critic = mean_logit(torch.nn.functional.softplus(listener.logits), batch).mean()
        critic = critic + mean_logit(torch.nn.functional.softplus(-logits), real).mean()
        accuracy = (mean_logit(listener.logits, batch) < 0).float().mean()
        accuracy = (accuracy + (mean_logit(logits, real) > 0).float().mean()) / 2
        noted = {"critic": critic.detach(), "told_apart": accuracy}
        return Loss(
            loss.value + self.adversarial.critic_weight * critic, {**loss.diagnostics, **noted}
        )

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Follow the objective, and look real."""
        (name,) = self.fake_scores
        listener = Listener(roles, name, self.judge)
        loss = self.base.student_loss(listener.roles, batch, draws)
        looks = self.looks_real(listener, batch)
        return Loss(
            loss.value + self.adversarial.weight * looks.value, loss.diagnostics | looks.diagnostics
        )

    def looks_real(self, listener: Listener, batch: Batch) -> Loss:
        """Return the student's adversarial term, without its weight."""
        looks = mean_logit(torch.nn.functional.softplus(-listener.logits), batch).mean()
        return Loss(looks, {"adversarial": looks.detach()})


def with_discriminator(
    base: Objective[Any], adversarial: AdversarialConfig | None, resources: Resources
) -> Objective[Any]:
    """Put a discriminator beside an objective, if its settings have one."""
    return base if adversarial is None else Adversarial(base, adversarial, resources)


class Listener:
    """A fake score that keeps what the judge said of its first call, with its gradient.

    A guided fake score is called twice, first with the condition.

    Args:
        roles: The networks; ``self.roles`` are the same with this in the fake score's place.
        name: Of the fake score.
        judge: Clean estimate and logits of one call (see ``Resources.judge``).
    """

    def __init__(self, roles: Roles, name: str, judge: Judge):
        self.denoiser, self.calls, self.judge = roles.fakes[name], roles.calls, judge
        self.roles = replace(roles, fakes={**roles.fakes, name: self})
        self.time: torch.Tensor = torch.empty(0)
        self.logits: torch.Tensor = torch.empty(0)

    def __call__(
        self,
        noisy: torch.Tensor,
        time: torch.Tensor,
        batch: Batch,
        previous: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the clean estimate (see ``Denoiser``)."""
        with torch.enable_grad():
            clean, logits = self.judged(noisy, time, batch)
        if not len(self.time):
            self.time, self.logits = time, logits
        return clean if torch.is_grad_enabled() else clean.detach()

    def judged(
        self, noisy: torch.Tensor, time: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return clean estimate and logits; the judge calls no ``forward`` that would count."""
        self.calls.add(len(noisy), differentiated=True)
        return self.judge(self.denoiser, noisy, time, batch)


def mean_logit(values: Float[torch.Tensor, "b n"], batch: Batch) -> Float[torch.Tensor, " b"]:
    """Return the mean over the real points of each sample."""
    return (values * batch.mask).sum(1) / batch.sizes
