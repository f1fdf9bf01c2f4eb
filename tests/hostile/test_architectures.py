"""Contract: an architecture that no network has is refused in one line before anything is built.

A case is: what is wrong → the changed keys → words of the line.
"""

from typing import Any

import pytest
import torch
from tiny_run import LIDAR_NETWORK, NETWORK

from domains.errors import FewstepError
from domains.lidar.denoiser import LidarDenoiser
from domains.protein.denoiser import ProteinaDenoiser

NAN, INF = float("nan"), float("inf")
PROTEIN: dict[str, tuple[dict[str, Any], str]] = {
    "a billion layers": ({"nlayers": 10**9}, "nlayers"),
    "10^30 layers": ({"nlayers": 10**30}, "nlayers"),
    "layers of 5,000 digits": ({"nlayers": 10**5000}, "nlayers"),
    "no layers": ({"nlayers": 0}, "nlayers"),
    "negative layers": ({"nlayers": -1}, "nlayers"),
    "layers of text": ({"nlayers": "many"}, "nlayers"),
    "a width of terabytes": ({"token_dim": 2**40}, "token_dim"),
    "a negative width": ({"token_dim": -16}, "token_dim"),
    "no heads": ({"nheads": 0}, "nheads"),
    "heads that don't divide": ({"nheads": 3}, "nheads"),
    "no pair width": ({"pair_repr_dim": 0}, "pair_repr_dim"),
    "a negative pair width": ({"pair_repr_dim": -1}, "pair_repr_dim"),
    "negative registers": ({"num_registers": -1}, "num_registers"),
    "10^12 registers": ({"num_registers": 10**12}, "num_registers"),
    "even separations": ({"seq_sep_dim": 8}, "odd"),
    "negative separations": ({"seq_sep_dim": -127}, "seq_sep_dim"),
    "distances of NaN": ({"xt_pair_dist_min": NAN}, "xt_pair_dist_min"),
    "infinite distances": ({"x_sc_pair_dist_max": INF}, "x_sc_pair_dist_max"),
    "distances backwards": ({"xt_pair_dist_min": 5.0}, "must be below"),
    "an update every 0 layers": ({"update_pair_repr_every_n": 0}, "update_pair_repr_every_n"),
    "an unknown feature": ({"feats_init_seq": ["x_ray"]}, "feats_init_seq"),
    "features of text": ({"feats_init_seq": "x_sc"}, "feats_init_seq"),
    "an unknown mode": ({"multilabel_mode": "eval"}, "multilabel_mode"),
}
LIDAR: dict[str, tuple[dict[str, Any], str]] = {
    "channels of terabytes": ({"width": 1e9}, "width"),
    "no channels": ({"width": 1e-9}, "width"),
    "negative channels": ({"width": -1}, "width"),
    "infinite channels": ({"width": INF}, "width"),
    "channels of NaN": ({"width": NAN}, "width"),
    "voxels of no size": ({"voxel_size": 0}, "voxel_size"),
    "voxels of a picometre": ({"voxel_size": 1e-12}, "voxel_size"),
    "infinite voxels": ({"voxel_size": INF}, "voxel_size"),
    "10^30 copies": ({"copies": 10**30}, "copies"),
    "no points": ({"partial_points": 0}, "partial_points"),
    "an unknown key": ({"depth": 3}, "depth"),
}


def build(domain: Any, network: dict[str, Any], weights: dict[str, torch.Tensor]) -> str:
    with pytest.raises(FewstepError) as error:
        domain.build(weights, {"network": network}, "teacher")
    line = str(error.value)
    assert len(line) < 1000 and "teacher" in line
    return line


@pytest.mark.parametrize(("changes", "words"), PROTEIN.values(), ids=PROTEIN)
def test_proteina(changes: dict[str, Any], words: str) -> None:
    assert words in build(ProteinaDenoiser, NETWORK | changes, {})


@pytest.mark.parametrize(("changes", "words"), LIDAR.values(), ids=LIDAR)
def test_lidiff(changes: dict[str, Any], words: str) -> None:
    assert words in build(LidarDenoiser, LIDAR_NETWORK | changes, {})


def test_fold_classes_that_are_a_single_number() -> None:
    tables = {
        f"cond_factory.feat_creators.1.embedding_{k}.weight": torch.tensor(1.0) for k in "CAT"
    }
    assert "lacks" in build(ProteinaDenoiser, NETWORK, tables)
