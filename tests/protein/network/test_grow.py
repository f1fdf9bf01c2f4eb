"""Contract: a grown network computes what it grew from; nothing else may differ."""

import pytest
import torch
from protein.network.examples import chain, published, small

from domains.errors import FewstepError
from domains.protein.network.grow import grow

MORE = {
    "feats_init_seq": [*published("60M_notri")["feats_init_seq"], "xt_local_shape"],  # type: ignore[misc]
    "feats_pair_repr": [*published("60M_notri")["feats_pair_repr"], "x_sc_pair_directions"],  # type: ignore[misc]
}


@pytest.mark.parametrize("changes", [{}, MORE], ids=["same", "more features"])
def test_grown_network_computes_the_same(changes):
    earlier, network = small(), small(**changes)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    grow(network, earlier)
    torch.testing.assert_close(network(chain()).coors_pred, earlier(chain()).coors_pred)


def test_new_features_learn():
    network = small(**MORE)
    grow(network, small())
    network(chain()).coors_pred.square().sum().backward()
    for factory in (network.init_repr_factory, network.pair_repr_builder.init_repr_factory):
        assert factory.linear_out.weight.grad[:, -5:].abs().max() > 0


OTHERS = [
    {"token_dim": 64},
    {"nlayers": 2},
    {"use_qkln": False},
    {"feats_init_seq": ["x_sc", "xt_local_shape"]},
]


@pytest.mark.parametrize("changes", OTHERS, ids=str)
def test_other_architectures_are_refused(changes):
    with pytest.raises(FewstepError, match=next(iter(changes))):
        grow(small(**changes), small())


def test_fewer_features_are_refused():
    with pytest.raises(FewstepError, match="feats_init_seq"):
        grow(small(), small(**MORE))
