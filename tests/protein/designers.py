"""ProteinMPNN for tests: untrained networks, and the published weights where they are."""

from pathlib import Path

import pytest
import torch

from domains.errors import FewstepError
from domains.protein.metrics.designability.mpnn import ProteinMPNN
from domains.protein.metrics.designability.mpnn_files import find_weights
from domains.protein.metrics.designability.mpnn_network import Network
from domains.protein.metrics.designability.proxy import Proxy

__all__ = ["untrained_designers", "untrained_proxy", "weights_or_skip"]


def weights_or_skip() -> Path:
    """Return the place of the published weights; skip the test where there are none."""
    try:
        return find_weights()
    except FewstepError as error:
        pytest.skip(str(error))


def untrained_designers(*names: str) -> list[ProteinMPNN]:
    """Build networks with random weights, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [ProteinMPNN(name, Network().eval().requires_grad_(False)) for name in names]


def untrained_proxy() -> Proxy:
    """Build a proxy of two random networks: enough for everything but the separation."""
    designer, scorer = untrained_designers("a", "b")
    return Proxy(designer, scorer, count=2)
