"""Make a network with fewer layers of a trained one."""

import torch

from domains.errors import FewstepError
from domains.protein.network.proteina import Proteina

__all__ = ["kept_layers", "shrink"]

# Lists of a network whose members are its layers: attention, and updates of the pairs between.
_TRUNK, _UPDATES = "transformer_layers", "pair_update_layers"


def kept_layers(count: int, left: int) -> list[int]:
    """Return which of ``count`` layers are left: the first, the last, the rest evenly between."""
    return torch.linspace(0, count - 1, left).round().int().tolist()


def shrink(network: Proteina, layers: int) -> Proteina:
    """Return a network of so many of another's layers, dropped evenly; everything else is copied.

    With all of them it computes the same. Updates of the pair representation stay as far apart
    as they were, and are dropped evenly, too.

    Args:
        network: A trained network.
        layers: Layers of the trunk that are left.

    Raises:
        FewstepError: It does not have so many.
    """
    config = network.config
    if layers > config.nlayers:
        raise FewstepError(
            "a student can't have more layers than its teacher",
            expected=f"layers of at most {config.nlayers}",
            got=layers,
        )
    smaller = config.model_copy(update={"nlayers": layers})
    old, new = config.pair_update_layers(), smaller.pair_update_layers()
    sources = {_TRUNK: dict(enumerate(kept_layers(config.nlayers, layers)))}
    updates = [old[k] for k in kept_layers(len(old), len(new))]
    sources[_UPDATES] = dict(zip(new, updates, strict=True))
    with torch.device("meta"):
        small = Proteina(smaller, network.fold_classes)
    given = network.state_dict()
    weights = {name: given[_source(name, sources)].clone() for name in small.state_dict()}
    small.load_state_dict(weights, assign=True)
    small.recompute = network.recompute
    return small.requires_grad_(True).train(network.training)


def _source(name: str, sources: dict[str, dict[int, int]]) -> str:
    """Return the name that a weight of the smaller network has in the larger one."""
    part, _, rest = name.partition(".")
    if part not in sources:
        return name
    layer, _, inner = rest.partition(".")
    return f"{part}.{sources[part][int(layer)]}.{inner}"
