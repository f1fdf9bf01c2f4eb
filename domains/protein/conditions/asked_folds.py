"""Fold classes requested of samples, by their numbers."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.protein.conditions.folds import (
    check_known,
    condition_of,
    drawn_level,
    full_code,
    known_part,
)
from domains.protein.conditions.joint import JointDistribution
from domains.protein.data.dataset import CathDomains
from domains.protein.denoiser import ProteinaDenoiser
from domains.protein.settings import TRAINING_DOMAINS, FoldDistribution, ProteinGenerate

__all__ = ["asked_folds", "fold_choices", "level_of"]


def asked_folds(
    plan: ProteinGenerate,
    numbers: Sequence[int],
    denoiser: ProteinaDenoiser,
    seed: int,
    training: Callable[[], CathDomains],
) -> list[dict[str, Any]]:
    """Return the condition of each sample: its classes as far as they are told.

    Args:
        plan: The set's samples and their fold classes.
        numbers: Of the samples.
        denoiser: The model; levels of a drawn class that it does not know are left out.
        seed: Of the run; together with a sample's number it decides what is drawn.
        training: Reads the run's training domains, if they are drawn from.

    Raises:
        FewstepError: A class is asked for that the model does not know, or it knows none.
    """
    fold, mapping = plan.fold, denoiser.mapping
    if not isinstance(fold, FoldDistribution):
        check_known(mapping, [full_code(code) for code in fold])
        return [condition_of(plan.fold_of(number)) for number in numbers]
    if not any(mapping.codes.values()):
        raise FewstepError(
            "the model knows no fold classes", do="Leave out generate.fold, or take another model"
        )
    joint = _joint(fold, training)
    one = denoiser.network.config.multilabel_mode == "sample"
    return [_drawn(joint, plan.size(k), fold, denoiser, one, seed, k) for k in numbers]


def level_of(fold: FoldDistribution, seed: int, number: int) -> str | None:
    """Draw the CATH level of a sample's label; None for no label."""
    return drawn_level(fold.told, random.Random(f"{seed} level {number}").random())


def _joint(fold: FoldDistribution, training: Callable[[], CathDomains]) -> JointDistribution:
    if fold.distribution == TRAINING_DOMAINS:
        return JointDistribution.of(training())
    return JointDistribution.read(Path(fold.distribution))


def _drawn(
    joint: JointDistribution,
    size: int,
    fold: FoldDistribution,
    denoiser: ProteinaDenoiser,
    one: bool,
    seed: int,
    number: int,
) -> dict[str, Any]:
    """Return a drawn condition; networks that keep one of several labels are given one."""
    stream = random.Random(f"{seed} fold {number}")
    codes = joint.draw(size, stream)
    codes = (stream.choice(codes),) if one else codes
    level = level_of(fold, seed, number)
    return condition_of(*(known_part(code, denoiser.mapping, level) for code in codes))


def fold_choices(draws: Draws, count: int) -> list[int]:
    """Draw a key per sample that picks the domain of its fold class and its real partner."""
    return [draws.integer(f"domain {k}", 1 << 40) for k in range(count)]
