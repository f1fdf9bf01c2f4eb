"""Stage: train a teacher from scratch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from domains.config import load_config, located
from domains.errors import FewstepError

if TYPE_CHECKING:
    from domains.config import Pretrain
    from domains.distillation.training.distiller import Distiller
    from domains.field import Field

__all__ = ["pretrain"]


def pretrain(config: Path, state: Path, output: Path) -> None:
    """Train a teacher on data with its field's own loss; resumable.

    Args:
        config: Run configuration (YAML) with a ``pretrain`` section.
        state: Directory of checkpoints, log and curves of this training.
        output: Directory of the finished model.
    """
    settings = load_config(config)

    from domains.capabilities import Pretraining, Recomputing, capability
    from domains.distillation.objectives.teacher import TeacherTraining
    from domains.distillation.training.distiller import STUDENT, Distiller
    from domains.distillation.training.plan import Plan
    from domains.field import load_field
    from domains.stages.training import train_and_save

    section = settings.pretrain
    if section is None:
        raise FewstepError(f"{config} has no pretrain section", do="Add one, or use prepare")
    field = load_field(settings.domain).with_data(settings.located_data)
    trains = capability(field, Pretraining, "trains no teachers")
    network = trains.new(section, settings.seed)
    if section.start is not None:
        trains.start(network, field.load(located(section.start)))
    if section.fit.activation_checkpointing:
        capability(field, Recomputing, "can't recompute activations").recompute(network)
    plan = Plan(
        objective=TeacherTraining(trains.teacher_loss),
        process=field.process(network),
        batches=trains.training_batches(section, settings.seed),
        fit=section.fit,
        optimisers={STUDENT: section.optimiser},
        seed=settings.seed,
    )
    distiller = Distiller(plan, network)
    facts = section.model_dump(mode="json", exclude_defaults=True)
    validate = _validation(field, section, settings.seed) if section.fit.validates else None
    train_and_save(field, distiller, state, output, settings, validate, pretrain=facts)


def _validation(
    field: Field, section: Pretrain, seed: int
) -> Callable[[Distiller], dict[str, float]]:
    """Return a function that measures the averaged teacher on held-out data."""
    from domains.capabilities import Validating, capability

    measuring = capability(field, Validating, "has no held-out loss; set fit.validate_every: 0")
    error = measuring.held_out_error(section, seed)
    return lambda distiller: error(distiller.average)
