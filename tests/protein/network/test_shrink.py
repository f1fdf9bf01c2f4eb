"""Contract: a shrunk network has some of the layers of another, and is it with all of them."""

import pytest
import torch
from protein.network.examples import chain, small

from domains.errors import FewstepError
from domains.protein.network.proteina import Proteina
from domains.protein.network.shrink import kept_layers, shrink

UPDATED = {"update_pair_repr": True, "update_pair_repr_every_n": 2, "use_tri_mult": True}


def deep(**changes: object) -> Proteina:
    network = small(nlayers=6, **changes)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def test_layers_are_dropped_evenly() -> None:
    assert kept_layers(10, 10) == [*range(10)]
    assert kept_layers(10, 4) == [0, 3, 6, 9]
    assert kept_layers(12, 2) == [0, 11] and kept_layers(3, 1) == [0] and kept_layers(0, 0) == []


@pytest.mark.parametrize("changes", [{}, UPDATED], ids=["plain", "pairs updated"])
def test_with_all_layers_it_is_the_same_network(changes: dict[str, object]) -> None:
    network = deep(**changes)
    same = shrink(network, 6)
    assert same.config == network.config
    torch.testing.assert_close(same(chain()).coors_pred, network(chain()).coors_pred)


@pytest.mark.parametrize("changes", [{}, UPDATED], ids=["plain", "pairs updated"])
def test_fewer_layers_are_fewer_weights_and_copies(changes: dict[str, object]) -> None:
    network = deep(**changes)
    network.recompute = True
    less = shrink(network.eval(), 3)
    assert less.config.nlayers == 3 and less.recompute and not less.training
    count, before = (sum(p.numel() for p in one.parameters()) for one in (less, network))
    assert count < 0.8 * before
    layers = [next(layer.parameters()) for layer in network.transformer_layers]
    for kept, layer in zip((0, 2, 5), less.transformer_layers, strict=True):
        assert torch.equal(next(layer.parameters()), layers[kept])
    # Copies: what one learns is not the other's.
    with torch.no_grad():
        next(less.transformer_layers[0].parameters()).add_(1)
    assert not torch.equal(next(less.transformer_layers[0].parameters()), layers[0])
    less(chain()).coors_pred.square().sum().backward()
    assert all(p.requires_grad for p in less.parameters())
    assert less.transformer_layers[2].mhba.mha.to_qkv.weight.grad.abs().max() > 0  # type: ignore[union-attr]


def test_leaving_out_what_does_nothing_changes_nothing() -> None:
    """Layers whose outputs are 0 are residual paths alone."""
    network = deep()
    for kept in set(range(6)) - {0, 2, 5}:
        for parameter in network.transformer_layers[kept].parameters():
            torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(shrink(network, 3)(chain()).coors_pred, network(chain()).coors_pred)


def test_more_layers_than_there_are_are_refused() -> None:
    with pytest.raises(FewstepError, match=r"can't have more layers than its teacher.*at most 6"):
        shrink(deep(), 7)
