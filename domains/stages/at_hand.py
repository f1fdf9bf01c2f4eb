"""How a finished student is sampled, as its own provenance tells: commands without a YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domains.config import located
from domains.errors import FewstepError

if TYPE_CHECKING:
    from torch import nn

    from domains.distillation.sampling.settings import Renoise
    from domains.field import Field

__all__ = ["facts_of", "load_model", "sampler_of", "trained_sampler"]


def load_model(field: Field, model: str) -> nn.Module:
    """Return a model by its directory or bundled name, on the GPU if there is one."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return field.load(located(model)).eval().to(device)


def facts_of(model: str) -> dict[str, Any]:
    """Return the configuration in a model's ``model.json``, after checking its weights.

    Args:
        model: A directory or a bundled name.

    Raises:
        FewstepError: There is no such model, or it is damaged.
    """
    from domains.files.model_files import read_model

    return read_model(located(model))[1]


def trained_sampler(model: str) -> Renoise:
    """Return the sampler that plays a student as it was trained.

    Raises:
        FewstepError: The model is no student, or there is none.
    """
    return sampler_of(facts_of(model), model)


def sampler_of(facts: dict[str, Any], model: str) -> Renoise:
    """Return the sampler of a model of which the facts were read; see ``trained_sampler``."""
    from domains.config.as_trained import roll_out_of

    trained = roll_out_of(facts)
    if trained is None:
        raise FewstepError(
            f"{model} is no student, so how to sample it is not known",
            do="Give a student, or write a YAML (see workflows/config)",
        )
    return trained.sampler(trained.noise_scale)
