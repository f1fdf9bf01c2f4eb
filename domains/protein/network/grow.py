"""Initialise a network from a trained one with fewer input features."""

import torch

from domains.errors import FewstepError
from domains.protein.network.config import NetworkConfig
from domains.protein.network.proteina import Proteina

__all__ = ["grow"]

_FEATURES = ("feats_init_seq", "feats_pair_repr")
# The layers that read concatenated features: new ones are columns at the end.
_GROWING = (
    "init_repr_factory.linear_out.weight",
    "pair_repr_builder.init_repr_factory.linear_out.weight",
)


def grow(network: Proteina, earlier: Proteina) -> None:
    """Copy the weights of ``earlier`` into ``network``, which then computes the same.

    What its configuration adds at the end of the feature lists starts without effect.

    Args:
        network: The network to be trained.
        earlier: One of the same architecture, with the same or fewer features.

    Raises:
        FewstepError: The architectures differ in anything else.
    """
    differing = _differences(network.config, earlier.config)
    if differing or network.fold_classes != earlier.fold_classes:
        raise FewstepError(
            "pretrain.start is a model of another architecture",
            got="other " + ", ".join(differing or ["fold classes"]),
            do="Use its own network and data; new features come last in their list",
        )
    given = earlier.state_dict()
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            old = given[name]
            if name in _GROWING:
                weight.zero_()[:, : old.shape[1]] = old
            else:
                weight.copy_(old)


def _differences(config: NetworkConfig, earlier: NetworkConfig) -> list[str]:
    ours, theirs = config.model_dump(), earlier.model_dump()
    for name in _FEATURES:
        ours[name] = ours[name][: len(theirs[name])]
    return [name for name in ours if ours[name] != theirs[name]]
