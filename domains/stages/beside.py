"""Frozen models beside the teacher: the weaker one of autoguidance, and the experts of classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from domains.capabilities import Forgetting, capability
from domains.errors import FewstepError
from domains.field import Field

if TYPE_CHECKING:
    from domains.batch import Batch
    from domains.config import Distil

__all__ = ["Answering", "load_experts", "load_weaker"]

# Flags the samples of a class [b], and the network that answers for these.
Answering = tuple[Callable[["Batch"], Tensor], nn.Module]


def load_weaker(field: Field, directory: Path | None, network: nn.Module) -> nn.Module:
    """Return the denoiser in a directory, to be asked beside ``network``.

    Raises:
        FewstepError: It is not given, or was trained with another noise process.
    """
    if directory is None:
        raise FewstepError("autoguidance needs a weaker model", do="Give --weaker")
    do = "Take an earlier checkpoint, or a smaller model, of the same training"
    return _load(field, directory, network, f"the weaker model {directory}", do)


def load_experts(
    field: Field, section: Distil, places: dict[str, Path], network: nn.Module
) -> tuple[Answering, ...]:
    """Return the experts of a student's classes, those of finer classes first.

    Args:
        field: The field, which knows a sample's class.
        section: Settings of the student.
        places: Directory of each model, by its name.
        network: The teacher, whose classes they are.

    Raises:
        FewstepError: The teacher knows no such class, or an expert has another noise process.
    """
    if not section.experts:
        return ()
    known = capability(field, Forgetting, "has no classes that could have experts")
    do = "Take models with the teacher's noise process"
    networks = {
        name: _load(field, place, network, f"the expert {name}", do)
        for name, place in places.items()
    }

    def flags(fold: str) -> Callable[[Batch], Tensor]:
        override = known.overriding(network, fold, None)
        return lambda batch: override(batch)[0]

    finest_first = sorted(section.experts, key=lambda one: -one.fold.count("."))
    return tuple((flags(one.fold), networks[one.model]) for one in finest_first)


def _load(field: Field, directory: Path, network: nn.Module, called: str, do: str) -> nn.Module:
    model = field.load(directory)
    if field.process(model) != field.process(network):
        raise FewstepError(f"{called} was trained with another noise process", do=do)
    return model.eval().requires_grad_(False)
