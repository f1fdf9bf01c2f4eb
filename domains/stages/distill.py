"""Stage: distil a teacher into a few-step student."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.config import Distil, load_config, located
from domains.errors import FewstepError

if TYPE_CHECKING:
    from torch import nn

    from domains.batch import Batch
    from domains.distillation.denoiser import Denoiser
    from domains.distillation.process import NoiseProcess
    from domains.distillation.roles import Draws
    from domains.distillation.training.distiller import Distiller
    from domains.distillation.training.plan import Plan
    from domains.field import Field
    from domains.stages.beside import Answering

__all__ = ["distill"]


def distill(
    config: Path,
    student: str,
    teacher: Path,
    state: Path,
    output: Path,
    tools: Path | None = None,
    weaker: Path | None = None,
    start: Path | None = None,
    models: Path | None = None,
) -> None:
    """Distil a teacher into a few-step student; resumable.

    Args:
        config: Run configuration (YAML).
        student: Which of its students to train.
        teacher: Directory of the prepared teacher.
        state: Directory of checkpoints, log and curves of this training.
        output: Directory of the finished student.
        tools: Directory of fetched tools (ProteinMPNN weights), for a preference that asks them.
        weaker: Directory of the weaker model, for autoguidance of the teacher.
        start: Directory or bundled name of the student to go on from; the teacher if not given.
        models: Directory of the run's other models, by name, for experts of classes.
    """
    settings = load_config(config)
    if student not in settings.students:
        known = ", ".join(settings.students) or "none"
        raise FewstepError("unknown student", expected=f"one of {known}", got=student)

    from domains.capabilities import Recomputing, capability
    from domains.distillation.training.distiller import Distiller
    from domains.field import load_field
    from domains.files.provenance import sha256
    from domains.stages.beside import load_experts, load_weaker
    from domains.stages.training import train_and_save

    section = settings.students[student]
    field = load_field(settings.domain).with_data(settings.located_data)
    network = field.load(teacher)
    if section.fit.activation_checkpointing:
        capability(field, Recomputing, "can't recompute activations").recompute(network)
    seed = settings.seed if section.seed is None else section.seed
    auto = load_weaker(field, weaker, network) if section.teacher_autoguidance else None
    first = None if start is None else located(str(start))
    places = _places(section, models)
    experts = load_experts(field, section, places, network)
    given = {"teacher": teacher, "weaker": weaker if auto else None, "start": first}
    given |= {f"expert_{name}": place for name, place in places.items()}
    plan = _plan(field, section, network, seed, auto, tools, student, experts)
    distiller = Distiller(plan, _first_student(field, first, network, section.layers), network)
    train_and_save(
        field,
        distiller,
        state,
        output,
        settings,
        validate=_validation(field, section, network, settings.seed),
        student=student,
        distil=section.model_dump(mode="json"),
        **{f"{name}_sha256": sha256(at / "model.safetensors") for name, at in given.items() if at},
    )


def _places(section: Distil, models: Path | None) -> dict[str, Path]:
    """Return the directory of each model that is an expert."""
    if section.experts and models is None:
        raise FewstepError("experts of classes are models of the run", do="Give --models")
    names = sorted({one.model for one in section.experts})
    return {} if models is None else {name: models / name for name in names}


def _first_student(
    field: Field, start: Path | None, network: nn.Module, layers: int | None = None
) -> nn.Module:
    """Return the network that is trained: the teacher's copy, some of its layers, or a student.

    Raises:
        FewstepError: The earlier student has another architecture or noise process, or the teacher
            has fewer layers.
    """
    import copy

    from domains.capabilities import Shrinking, capability

    if layers is not None:
        network = capability(field, Shrinking, "has no layers to leave out").shrink(network, layers)
    if start is None:
        return copy.deepcopy(network)
    earlier = field.load(start)
    shapes, others = (
        {name: tuple(value.shape) for name, value in one.state_dict().items()}
        for one in (network, earlier)
    )
    if shapes != others or field.process(network) != field.process(earlier):
        raise FewstepError(
            f"{start} can't be where a student starts",
            expected="the teacher's architecture and noise process",
            do="Name a student of this teacher, with as many layers",
        )
    return earlier.train(network.training)


def _plan(
    field: Field,
    section: Distil,
    network: nn.Module,
    seed: int,
    weaker: nn.Module | None = None,
    tools: Path | None = None,
    name: str = "",
    experts: tuple[Answering, ...] = (),
) -> Plan:
    import torch

    from domains.distillation.denoiser import Guided
    from domains.distillation.objectives.registry import build_objective
    from domains.distillation.roles import RollOut
    from domains.distillation.training.distiller import STUDENT
    from domains.distillation.training.plan import Plan
    from domains.stages.resources import FieldResources

    process = field.process(network)
    resources = FieldResources(field, section, network, tools)
    objective = build_objective(section.objective, resources)

    def batches(_: int, draws: Draws) -> Batch:
        requests = field.training_requests(section, network, draws)
        # Encoded by the teacher for all roles: what a student knows of its condition is frozen.
        with torch.no_grad():
            return field.encode(network, field.blank(requests).to(draws.device))

    def guided(fake: Denoiser, weight: float) -> Denoiser:
        return Guided(fake, weight, field.unconditional(fake))

    return Plan(
        objective=objective,
        process=process,
        batches=batches,
        fit=section.fit,
        optimisers={STUDENT: section.student}
        | {name: section.fake for name in objective.fake_scores},
        seed=seed,
        roll_out=RollOut.of(section.roll_out, process),
        fake_updates=section.fake_updates,
        reset_fake_every=section.reset_fake_every,
        as_fake=partial(guided, weight=section.fake_guidance),
        as_learning_fake=partial(guided, weight=section.fake_training_guidance),
        degradation=section.degradation,
        as_teacher=lambda teacher: _as_teacher(field, section, process, teacher, weaker, experts),
        frozen_networks=(
            *(() if weaker is None else (weaker,)),
            *dict.fromkeys(expert for _, expert in experts),
        ),
        name=name,
    )


def _as_teacher(
    field: Field,
    section: Distil,
    process: NoiseProcess,
    teacher: Denoiser,
    weaker: Denoiser | None,
    experts: tuple[Answering, ...] = (),
) -> Denoiser:
    """Return the teacher that is distilled: tempered, guided away from what is weaker, rescaled.

    Experts take its place for samples of their classes, also where it is told no class.
    """
    from domains.distillation.denoiser import AskedTwice, Guided, Routed, Tempered
    from domains.distillation.sampling.rescale import Rescaled

    scale, weight = section.teacher_noise_scale, section.teacher_guidance

    def routed(told: Callable[[Denoiser], Denoiser]) -> Denoiser:
        def asked(one: Any) -> Denoiser:
            return Tempered(told(AskedTwice(one) if section.teacher_asked_twice else one), scale)

        answers = tuple((flags, asked(one)) for flags, one in experts)
        return Routed(asked(teacher), answers) if answers else asked(teacher)

    unconditional = routed(field.unconditional)
    auto = None if weaker is None else Tempered(weaker, scale)
    share = section.teacher_autoguidance
    guided = Guided(routed(lambda one: one), weight, unconditional, auto, share)
    rescale = section.teacher_rescale
    return guided if rescale is None else Rescaled(guided, process, rescale)


def _validation(field: Field, section: Distil, network: nn.Module, seed: int):
    """Return a function that samples the averaged student and measures the samples."""
    import torch

    from domains.batch import Sample
    from domains.distillation.noise import SampleNoise, generator
    from domains.distillation.sampling.sampler import last
    from domains.stages.sampling import few_steps

    sampler = section.roll_out.sampler(section.validation_noise_scale)

    def validate(distiller: Distiller) -> dict[str, float]:
        plan, average = distiller.plan, distiller.average
        requests = field.validation_requests(section, network)
        samples: list[Sample] = []
        for start in range(0, len(requests), section.batch_size):
            part = requests[start : start + section.batch_size]
            sizes = [request.size for request in part]
            sources = [generator(seed, "validation", start + k) for k in range(len(part))]
            noise = SampleNoise(sources, sizes, distiller.device)
            with torch.no_grad():
                batch = field.encode(average, field.blank(part).to(distiller.device))
                points = last(few_steps(sampler, average, plan.process, batch, noise))
            for row, request in enumerate(part):
                finished = field.finish(average, points[row, : request.size], request, False)
                samples.append(Sample(request.name, finished))
        return field.validate(samples, requests)

    return validate
