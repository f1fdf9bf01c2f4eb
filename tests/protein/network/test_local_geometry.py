"""Contract: local geometry turns with the chain, tells its mirror image, ignores padding."""

import numpy as np
import pytest
import torch
from protein.chains import screw
from protein.network.examples import small
from scipy.spatial.transform import Rotation

from domains.protein.network import Proteina
from domains.protein.network.features import Inputs
from domains.protein.network.local_geometry import (
    DIRECTION_BINS,
    LOCAL_SHAPE,
    direction_bins,
    local_shape,
)

N = 14
FEATURES = {
    "feats_init_seq": ["res_seq_pdb_idx", "x_sc", "xt_local_shape", "x_sc_local_shape"],
    "feats_pair_repr": ["rel_seq_sep", "xt_pair_directions", "x_sc_pair_directions"],
}


def helix(turn: float = 100.0) -> torch.Tensor:
    return torch.from_numpy(screw(N, turn)).float()[None]


MASK = torch.ones(1, N, dtype=torch.bool)


def turned(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rotation = torch.from_numpy(Rotation.random(rng=np.random.default_rng(0)).as_matrix()).float()
    return x @ rotation.T, rotation


def test_dihedral_of_an_ideal_helix_is_fifty_degrees():
    shape = local_shape(helix(), MASK)
    assert shape.shape == (1, N, LOCAL_SHAPE)
    degrees = torch.rad2deg(torch.atan2(shape[..., -2], shape[..., -1]))[0, 1:-2]
    torch.testing.assert_close(degrees, torch.full_like(degrees, 49.8), atol=1.0, rtol=0)


def test_a_mirror_image_differs_in_the_sign_of_the_dihedral():
    right, left = local_shape(helix(), MASK), local_shape(helix(-100.0), MASK)
    torch.testing.assert_close(right[..., -1], left[..., -1])
    torch.testing.assert_close(right[..., -2], -left[..., -2], atol=1e-5, rtol=1e-4)
    assert not torch.equal(direction_bins(helix(), MASK), direction_bins(helix(-100.0), MASK))


def test_offsets_turn_with_the_chain_and_the_rest_stays():
    x = helix() + 0.05 * torch.randn(1, N, 3, generator=torch.Generator().manual_seed(2))
    moved, rotation = turned(x)
    before, after = local_shape(x, MASK), local_shape(moved + 3.0, MASK)
    vectors = before[..., :-2].unflatten(-1, (-1, 3)) @ rotation.T
    torch.testing.assert_close(after[..., :-2], vectors.flatten(-2), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after[..., -2:], before[..., -2:], atol=1e-4, rtol=1e-3)
    same = direction_bins(x, MASK) == direction_bins(moved + 3.0, MASK)
    assert same.float().mean() > 0.99  # a direction on a bin's edge may change sides


def test_ends_have_no_frame():
    bins = direction_bins(helix(), MASK)
    assert (bins[0, [0, -1]] == DIRECTION_BINS).all()
    assert (bins[0, 1:-1] < DIRECTION_BINS).all() and bins.min() >= 0


@pytest.mark.parametrize("function", [local_shape, direction_bins])
def test_padding_changes_nothing(function):
    padded = torch.cat([helix(), torch.full((1, 3, 3), 7.0)], 1)
    mask = torch.arange(N + 3)[None] < N
    found = function(padded, mask)[:, :N]
    expected = function(helix(), MASK)
    torch.testing.assert_close(found[..., : expected.shape[-1]], expected)


def test_gradients_are_finite_where_neighbours_are_missing_or_coincide():
    x = torch.zeros(1, N, 3, requires_grad=True)
    local_shape(x, MASK).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def pairs(network: Proteina, sign: torch.Tensor) -> torch.Tensor:
    """The pair representation of a helix or, with one axis reversed, of its mirror image."""
    x = helix() * sign
    given = Inputs(x, torch.full((1,), 0.5), MASK, x_sc=x)
    return network.pair_repr_builder(given, 0).full()


def test_directions_tell_left_from_right_and_distances_do_not():
    straight, mirror = torch.ones(3), torch.tensor([1.0, 1.0, -1.0])
    network = small(**FEATURES)
    assert (pairs(network, straight) - pairs(network, mirror)).abs().max() > 0.1
    network = small(feats_pair_repr=["rel_seq_sep", "xt_pair_dists", "x_sc_pair_dists"])
    torch.testing.assert_close(pairs(network, straight), pairs(network, mirror))
