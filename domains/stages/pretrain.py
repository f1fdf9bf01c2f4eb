"""Stage: train a teacher from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from domains.config import load_config
from domains.errors import FewstepError
from domains.stages.prepare import locate

if TYPE_CHECKING:
    from torch import nn

__all__ = ["pretrain"]


def pretrain(config: Path, state: Path, output: Path) -> None:
    """Train a teacher on data with its field's own loss; resumable.

    Args:
        config: Run configuration (YAML) with a ``pretrain`` section.
        state: Directory of checkpoints, log and curves of this training.
        output: Directory of the finished model.
    """
    from domains.distillation.distiller import STUDENT, Distiller, Plan
    from domains.distillation.objectives.teacher import TeacherTraining
    from domains.domain import load_domain
    from domains.stages.training import train_and_save

    settings = load_config(config)
    section = settings.pretrain
    if section is None:
        raise FewstepError(f"{config} has no pretrain section", do="Add one, or use prepare")
    domain = load_domain(settings.domain)
    network = domain.new(section, settings.seed)
    if section.start is not None:
        _start_from(network, domain.load(locate(section.start)), section.start)
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


def _start_from(network: nn.Module, begun: nn.Module, source: str) -> None:
    """Give a network the weights of an earlier training."""
    try:
        network.load_state_dict(begun.state_dict())
    except RuntimeError as error:
        raise FewstepError(
            f"pretrain.start: {source} is not of the configured architecture",
            got=str(error).splitlines()[-1].strip(),
            do="Use its own network and data",
        ) from error
