"""Contract: embeddings are the reference's to the last bit, whatever the machine's exp.

Networks multiply time by 2000, so one unit in the last place of a frequency is visible in
every output.
"""

import math
from pathlib import Path

import pytest
import torch
from protein.network.golden_files import arrays

from domains.protein.network.embeddings import (
    distance_bins,
    index_embedding,
    separation_bins,
    time_embedding,
)


@pytest.fixture(scope="module")
def primitives(golden: Path) -> dict[str, torch.Tensor]:
    return arrays(golden / "protein/misc/primitives.npz")


def widths(primitives: dict[str, torch.Tensor], name: str) -> list[int]:
    found = [int(key[len(name) :]) for key in primitives if key.startswith(name)]
    assert found
    return found


def test_time_embedding_is_bit_equal(primitives):
    for width in widths(primitives, "temb"):
        ours = time_embedding(primitives["t"], width)
        assert torch.equal(ours, primitives[f"temb{width}"]), width


def test_time_embedding_stays_in_float32_and_pads_odd_widths():
    embedded = time_embedding(torch.tensor([0.3], dtype=torch.float64), 7)
    assert embedded.dtype == torch.float32
    assert embedded.shape == (1, 7) and embedded[0, -1] == 0


def test_frequencies_fall_from_one_to_the_time_scale():
    angle = math.asin(float(time_embedding(torch.tensor([1 / 2000]), 8)[0, 3]))
    assert angle == pytest.approx(1 / 2000, rel=1e-5)


def test_index_embedding_is_bit_equal(primitives):
    for width in widths(primitives, "iemb"):
        ours = index_embedding(primitives["idx"], width)
        torch.testing.assert_close(ours, primitives[f"iemb{width}"], rtol=0, atol=2e-7)


def test_distance_bins_agree(primitives):
    expected = primitives["dist_onehot"]
    assert torch.equal(distance_bins(primitives["x_nm"], 0.1, 3.0, 64), expected)


def test_distance_bins_take_their_upper_boundary():
    points = torch.tensor([[[0.0, 0, 0], [1.0, 0, 0], [2.5, 0, 0]]])
    bins = distance_bins(points, 1.0, 2.0, 3)
    assert bins[0, 0].tolist() == [0, 0, 2]
    assert bins[0, 1].tolist() == [0, 0, 1]


def test_separation_bins_agree(primitives):
    index = primitives["seqsep_idx"]
    expected = primitives["seqsep_bin"]
    ours = separation_bins(index, 15)
    assert torch.equal(ours.expand_as(expected), expected)


def test_separation_is_row_minus_column():
    bins = separation_bins(torch.tensor([[1, 2, 9]]), 5)
    assert bins[0].tolist() == [[2, 1, 0], [3, 2, 0], [4, 4, 2]]
