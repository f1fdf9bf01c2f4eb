"""Stage: distil a teacher into a few-step student."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from domains.config import Distil, SiDConfig, Times, VSDConfig, load_config
from domains.errors import FewstepError

if TYPE_CHECKING:
    from torch import nn

    from domains.distillation.distiller import Distiller, Plan
    from domains.distillation.noise import TimeDistribution
    from domains.distillation.objectives import Objective
    from domains.domain import Domain

__all__ = ["distill"]


def distill(config: Path, student: str, teacher: Path, state: Path, output: Path) -> None:
    """Distil a teacher into a few-step student; resumable.

    Args:
        config: Run configuration (YAML).
        student: Which of its students to train.
        teacher: Directory of the prepared teacher.
        state: Directory of checkpoints, log and curves of this training.
        output: Directory of the finished student.
    """
    import copy

    from domains.distillation.distiller import Distiller
    from domains.domain import load_domain
    from domains.provenance import sha256
    from domains.stages.training import train_and_save

    settings = load_config(config)
    if student not in settings.students:
        known = ", ".join(settings.students) or "none"
        raise FewstepError("unknown student", expected=f"one of {known}", got=student)
    section = settings.students[student]
    domain = load_domain(settings.domain)
    network = domain.load(teacher)
    plan = _plan(domain, section, network, settings.seed)
    distiller = Distiller(plan, copy.deepcopy(network), network)
    train_and_save(
        domain,
        distiller,
        state,
        output,
        settings,
        validate=_validation(domain, section, settings.seed),
        student=student,
        distil=section.model_dump(mode="json"),
        teacher_sha256=sha256(teacher / "model.safetensors"),
    )


def _plan(domain: Domain, section: Distil, network: nn.Module, seed: int) -> Plan:
    from domains.distillation.distiller import STUDENT, Plan
    from domains.distillation.roles import Draws, RollOut

    process = domain.process(network)
    objective = build_objective(section.objective)

    def batches(_: int, draws: Draws):
        low, high = section.lengths.low, section.lengths.high
        sizes = [
            low + draws.integer(f"size {k}", high - low + 1) for k in range(section.batch_size)
        ]
        return domain.blank(sizes)

    roll_out = section.roll_out
    return Plan(
        objective=objective,
        process=process,
        batches=batches,
        fit=section.fit,
        optimisers={STUDENT: section.student}
        | {name: section.fake for name in objective.fake_scores},
        seed=seed,
        roll_out=RollOut(process.times(roll_out.steps), roll_out.noise_scale),
        fake_updates=section.fake_updates,
        reset_fake_every=section.reset_fake_every,
        teacher_noise_scale=section.teacher_noise_scale,
    )


def build_objective(config: SiDConfig | VSDConfig) -> Objective:
    """Return the objective that a config names."""
    from domains.distillation.objectives.sid import SiD
    from domains.distillation.objectives.vsd import VSD

    student, fake = _times(config.student_times), _times(config.fake_times)
    if isinstance(config, SiDConfig):
        return SiD(student, fake, config.alpha, config.scale, config.weighting)
    return VSD(student, fake, config.scale)


def _times(config: Times) -> TimeDistribution:
    from domains.distillation.noise import TimeDistribution

    return TimeDistribution(config.kind, config.low, config.high)


def _validation(domain: Domain, section: Distil, seed: int):
    """Return a function that samples the averaged student and measures the samples."""
    from domains.distillation.noise import SampleNoise, generator
    from domains.distillation.sampler import last, renoise
    from domains.domain import Sample

    count = section.validation_samples
    low, high = section.lengths.low, section.lengths.high
    sizes = [low + (high - low) * k // max(1, count - 1) for k in range(count)]

    def validate(distiller: Distiller) -> dict[str, float]:
        plan = distiller.plan
        batch = domain.blank(sizes).to(distiller.device)
        sources = [generator(seed, "validation", k) for k in range(count)]
        noise = SampleNoise(sources, sizes, distiller.device)
        times = plan.process.times(section.roll_out.steps)
        scale = section.validation_noise_scale
        points = last(renoise(distiller.average, plan.process, batch, times, noise, scale)).cpu()
        return domain.validate([Sample(str(k), points[k, :n]) for k, n in enumerate(sizes)])

    return validate
