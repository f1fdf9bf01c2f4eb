"""Stage: distil a teacher into a few-step student."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from domains.config import Distil, load_config
from domains.errors import FewstepError

if TYPE_CHECKING:
    from torch import nn

    from domains.distillation.denoiser import Denoiser
    from domains.distillation.distiller import Distiller, Plan
    from domains.distillation.roles import Draws
    from domains.domain import Batch, Domain

__all__ = ["distill"]


def distill(
    config: Path,
    student: str,
    teacher: Path,
    state: Path,
    output: Path,
    tools: Path | None = None,
) -> None:
    """Distil a teacher into a few-step student; resumable.

    Args:
        config: Run configuration (YAML).
        student: Which of its students to train.
        teacher: Directory of the prepared teacher.
        state: Directory of checkpoints, log and curves of this training.
        output: Directory of the finished student.
        tools: Directory of fetched tools (ProteinMPNN weights), for a preference that asks them.
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
    domain = load_domain(settings.domain).with_data(settings.located_data)
    network = domain.load(teacher)
    if section.fit.activation_checkpointing:
        domain.recompute(network)
    seed = settings.seed if section.seed is None else section.seed
    plan = _plan(domain, section, network, seed, tools)
    distiller = Distiller(plan, copy.deepcopy(network), network)
    train_and_save(
        domain,
        distiller,
        state,
        output,
        settings,
        validate=_validation(domain, section, network, settings.seed),
        student=student,
        distil=section.model_dump(mode="json"),
        teacher_sha256=sha256(teacher / "model.safetensors"),
    )


def _plan(
    domain: Domain, section: Distil, network: nn.Module, seed: int, tools: Path | None = None
) -> Plan:
    import torch

    from domains.distillation.denoiser import Guided, Tempered
    from domains.distillation.distiller import STUDENT, Plan
    from domains.distillation.roles import RollOut
    from domains.stages.objective import build_objective

    process = domain.process(network)
    objective = build_objective(section, domain, network, tools)

    def batches(_: int, draws: Draws) -> Batch:
        requests = domain.training_requests(section, network, draws)
        # Encoded by the teacher for all roles: what a student knows of its condition is frozen.
        with torch.no_grad():
            return domain.encode(network, domain.blank(requests).to(draws.device))

    def as_teacher(teacher: Denoiser) -> Denoiser:
        scale, weight = section.teacher_noise_scale, section.teacher_guidance
        unconditional = Tempered(domain.unconditional(teacher), scale)
        return Guided(Tempered(teacher, scale), weight, unconditional)

    def guided(fake: Denoiser, weight: float) -> Denoiser:
        return Guided(fake, weight, domain.unconditional(fake))

    roll_out = section.roll_out
    return Plan(
        objective=objective,
        process=process,
        batches=batches,
        fit=section.fit,
        optimisers={STUDENT: section.student}
        | {name: section.fake for name in objective.fake_scores},
        seed=seed,
        roll_out=RollOut(
            process.times(roll_out.steps), roll_out.noise_scale, roll_out.deterministic
        ),
        fake_updates=section.fake_updates,
        reset_fake_every=section.reset_fake_every,
        as_teacher=as_teacher,
        as_fake=partial(guided, weight=section.fake_guidance),
        as_learning_fake=partial(guided, weight=section.fake_training_guidance),
        degradation=section.degradation,
    )


def _validation(domain: Domain, section: Distil, network: nn.Module, seed: int):
    """Return a function that samples the averaged student and measures the samples."""
    import torch

    from domains.distillation.noise import SampleNoise, generator
    from domains.distillation.sampler import last, renoise
    from domains.domain import Sample

    def validate(distiller: Distiller) -> dict[str, float]:
        plan, average = distiller.plan, distiller.average
        requests = domain.validation_requests(section, network)
        samples: list[Sample] = []
        for start in range(0, len(requests), section.batch_size):
            part = requests[start : start + section.batch_size]
            sizes = [request.size for request in part]
            sources = [generator(seed, "validation", start + k) for k in range(len(part))]
            noise = SampleNoise(sources, sizes, distiller.device)
            times = plan.process.times(section.roll_out.steps)
            scale = section.validation_noise_scale
            with torch.no_grad():
                batch = domain.encode(average, domain.blank(part).to(distiller.device))
                fixed = section.roll_out.deterministic
                played = renoise(
                    average, plan.process, batch, times, noise, scale, deterministic=fixed
                )
                points = last(played)
            for row, request in enumerate(part):
                finished = domain.finish(average, points[row, : request.size], request, False)
                samples.append(Sample(request.name, finished))
        return domain.validate(samples, requests)

    return validate
