"""Names under which published checkpoints hold the networks."""

from collections.abc import Mapping

from torch import Tensor

from domains.errors import FewstepError

__all__ = ["PREFIXES", "split"]

# LiDiff: encoder, noise predictor and refinement. Distillation-DPO: the student, and the
# teacher's noise predictor and encoder.
PREFIXES = ("partial_enc.", "model.", "model_refine.", "generator.", "DiffModel.", "DM_encoder.")


def split(weights: Mapping[str, Tensor], source: str) -> dict[str, dict[str, Tensor]]:
    """Return each network's weights, by its prefix without the dot.

    Args:
        weights: A checkpoint's flat state dict.
        source: Its name, for the message.

    Raises:
        FewstepError: A key belongs to no known network.
    """
    networks: dict[str, dict[str, Tensor]] = {}
    for key, value in weights.items():
        prefix, _, name = key.partition(".")
        if f"{prefix}." not in PREFIXES:
            raise FewstepError(
                f"{source} holds a tensor of an unknown network",
                expected=f"names that begin with {', '.join(PREFIXES)}",
                got=key,
            )
        networks.setdefault(prefix, {})[name] = value
    return networks
