"""Stage: train a teacher from scratch."""

from __future__ import annotations

from pathlib import Path

from domains.config import load_config
from domains.errors import FewstepError
from domains.stages.prepare import locate

__all__ = ["pretrain"]


def pretrain(config: Path, state: Path, output: Path) -> None:
    """Train a teacher on data with its field's own loss; resumable.

    Args:
        config: Run configuration (YAML) with a ``pretrain`` section.
        state: Directory of checkpoints, log and curves of this training.
        output: Directory of the finished model.
    """
    from domains.distillation.objectives.teacher import TeacherTraining
    from domains.distillation.training.distiller import STUDENT, Distiller
    from domains.distillation.training.plan import Plan
    from domains.domain import load_domain
    from domains.stages.training import train_and_save

    settings = load_config(config)
    section = settings.pretrain
    if section is None:
        raise FewstepError(f"{config} has no pretrain section", do="Add one, or use prepare")
    domain = load_domain(settings.domain).with_data(settings.located_data)
    network = domain.new(section, settings.seed)
    if section.start is not None:
        domain.start(network, domain.load(locate(section.start)))
    if section.fit.activation_checkpointing:
        domain.recompute(network)
    plan = Plan(
        objective=TeacherTraining(domain.teacher_loss),
        process=domain.process(network),
        batches=domain.training_batches(section, settings.seed),
        fit=section.fit,
        optimisers={STUDENT: section.optimiser},
        seed=settings.seed,
    )
    distiller = Distiller(plan, network)
    facts = section.model_dump(mode="json", exclude_defaults=True)
    train_and_save(domain, distiller, state, output, settings, pretrain=facts)
