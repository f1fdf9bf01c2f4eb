"""Variational score distillation / Diff-Instruct (arXiv 2305.16213, 2305.18455)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field

from domains.batch import Batch
from domains.device import sent
from domains.distillation.denoiser import Guided
from domains.distillation.objectives.adversarial import AdversarialConfig, with_discriminator
from domains.distillation.objectives.objective import (
    Objective,
    ObjectiveConfig,
    Resources,
    ask_scores,
    denoise_at,
    denoise_samples,
    lag,
    per_sample,
)
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.student import Student
from domains.distillation.times import Times
from domains.lazy import torch

__all__ = ["VSD", "VSDConfig", "score_differences", "vsd_loss"]

_FLOOR = 1e-5


def vsd_loss(
    clean: torch.Tensor, teacher: torch.Tensor, fake: torch.Tensor, batch: Batch
) -> torch.Tensor:
    """Return Σ sg(w Δ) · x / (3 n), whose gradient in x is that of the reverse KL.

    Δ = D_F − D_T and w = 1 / mean|x − D_T| (DMD's normaliser, arXiv 2311.18828, eq. 8).

    Args:
        clean: x, samples of the student [b, n, 3].
        teacher: D_T(x_t); no gradient is taken.
        fake: D_F(x_t); no gradient is taken.
        batch: Mask.
    """
    count = 3 * batch.sizes
    scale = per_sample((clean - teacher).detach().abs(), batch) / count
    value = per_sample((fake - teacher).detach() * clean, batch) / count
    return value / scale.clamp(min=_FLOOR)


def score_differences(
    clean: torch.Tensor, roles: Roles, batch: Batch, draws: Draws, times: Times
) -> tuple[Float[torch.Tensor, " b"], dict[str, torch.Tensor]]:
    """Noise samples of the student, ask both scores; return VSD losses and diagnostics."""
    teacher, fake, time = ask_scores(clean, roles, batch, draws, times, gradient=False)
    loss = vsd_loss(clean, teacher, fake, batch)
    return loss, lag(teacher, fake, clean, time, batch)


class VSDConfig(ObjectiveConfig):
    """Variational score distillation / Diff-Instruct."""

    degradable: ClassVar[bool] = True
    shares_roll_out: ClassVar[bool] = True
    kind: Literal["vsd"] = "vsd"
    """Chooses this objective."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""
    fake_teacher_weight: float = Field(default=0.0, gt=-1, exclude_if=lambda given: not given)
    """Weight γ of the fake score's distance to the teacher in its loss: adversarial score
    distillation (2312.00739), whose authors take -0.75. 0: none, as published for VSD."""
    guidance_times: Times | None = Field(default=None, exclude_if=lambda given: given is None)
    """Decoupled DMD (2511.22677): times of what guidance adds to the teacher, drawn apart, and
    squeezed to those after the call that made the sample; scores are compared without guidance.
    None: the guided teacher's score is compared, at `student_times`."""
    adversarial: AdversarialConfig | None = None
    """Add a discriminator, and so real data: DMD2; none: data-free."""

    def check(self, student: Student) -> None:
        """DisBack records scores of samples; guidance is taken apart where there is some."""
        if student.is_led and self.fake_teacher_weight:
            raise ValueError("degradation: objective.fake_teacher_weight must be 0 with it")
        if self.guidance_times is None:
            return
        if student.teacher_guidance == 1:
            raise ValueError("objective.guidance_times: of no use with teacher_guidance 1")
        played = student.roll_out.each_sample or student.roll_out.shared
        if student.is_led or student.teacher_rescale or played:
            others = "degradation, teacher_rescale, roll_out.each_sample or roll_out.shared"
            raise ValueError(f"objective.guidance_times: does not go with {others}")


class VSD(Objective[VSDConfig]):
    """Reverse KL between noised samples, by a stop-gradient difference of scores."""

    fake_scores = ("fake",)

    @classmethod
    def build(cls, settings: VSDConfig, resources: Resources) -> Objective[Any]:
        """Build the objective, and its discriminator if it has one."""
        return with_discriminator(cls(settings), settings.adversarial, resources)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Denoise the student's samples; with γ, between them and what the teacher makes of them.

        ‖D − x‖² + γ ‖D − D_T‖² is (1 + γ) ‖D − (x + γ D_T) / (1 + γ)‖² and a constant, so that
        Δ is 1 / (1 + γ) times what it is without (2312.00739, as in the authors' program).
        """
        times, weight = self.settings.fake_times, self.settings.fake_teacher_weight
        fake = roles.fake(name)
        if not weight:
            return denoise_samples(fake, roles, batch, draws, times)
        assert roles.teacher is not None
        clean = roles.play(batch, draws, gradient=False)
        time = sent(times.sample(len(clean), draws.source("time")), clean.device)
        noisy = roles.process.perturb(clean, draws.noise("noise")(batch.shape), time, batch)
        with torch.no_grad():
            teacher = roles.teacher(noisy, time, batch)
        target = (clean + weight * teacher) / (1 + weight)
        return denoise_at(fake, target, noisy, time, roles, batch, 1 + weight)

    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Push the sample along the difference of the two scores."""
        if self.settings.guidance_times is not None:
            return self._decoupled(roles, batch, draws, self.settings.guidance_times)
        clean = roles.play(batch, draws, gradient=True)
        losses, noted = score_differences(clean, roles, batch, draws, self.settings.student_times)
        return Loss(self.settings.scale * losses.mean(), noted)

    def _decoupled(self, roles: Roles, batch: Batch, draws: Draws, times: Times) -> Loss:
        """Compare the scores without guidance, and push samples by what guidance adds elsewhere.

        D_w = D + (w − 1) (D − D_uncond), so that D_F − D_w falls in two: D_F − D matches the
        distributions, D − D_w is the guidance's push (2511.22677). Here each is noised at times of
        its own, and divided by its own mean|x − D|, or mean|x − D_w|.
        """
        guided, process = roles.teacher, roles.process
        if not isinstance(guided, Guided):
            raise ValueError("the teacher has no guidance that could be taken apart")
        taken = roles.rolled.take(roles.student, process, batch, draws, gradient=True)
        clean = process.target(taken.points, batch)
        plain = replace(roles, teacher=guided.denoiser)
        losses, noted = score_differences(clean, plain, batch, draws, self.settings.student_times)
        drawn = sent(times.sample(len(clean), draws.source("guidance time")), clean.device)
        time = times.squeezed(drawn, taken.time, 1.0)
        with torch.no_grad():
            noise = draws.noise("guidance noise")(batch.shape)
            without, pushed = guided.both(process.perturb(clean, noise, time, batch), time, batch)
        push = (per_sample((pushed - without) ** 2, batch) / (3 * batch.sizes)).sqrt()
        losses = losses + vsd_loss(clean, pushed, without, batch)
        return Loss(self.settings.scale * losses.mean(), noted | {"push": push.mean()})
