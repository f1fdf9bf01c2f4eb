"""The weaker model that autoguidance pushes away from."""

from pathlib import Path

from torch import nn

from domains.errors import FewstepError
from domains.field import Field

__all__ = ["load_weaker"]


def load_weaker(field: Field, directory: Path | None, network: nn.Module) -> nn.Module:
    """Return the denoiser in a directory, to be asked beside ``network``.

    Raises:
        FewstepError: It is not given, or was trained with another noise process.
    """
    if directory is None:
        raise FewstepError("autoguidance needs a weaker model", do="Give --weaker")
    weaker = field.load(directory)
    if field.process(weaker) != field.process(network):
        raise FewstepError(
            f"the weaker model {directory} was trained with another noise process",
            do="Take an earlier checkpoint, or a smaller model, of the same training",
        )
    return weaker.eval().requires_grad_(False)
