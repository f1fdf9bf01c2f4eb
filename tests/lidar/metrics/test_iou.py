"""Contract: occupied cells are compared, scenes are summed before the division."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from lidar.clouds import scattered

from domains.lidar.metrics.iou import (
    CELLS,
    Counts,
    iou,
    occupancy_counts,
    occupancy_counts_legacy,
)

cloud = partial(scattered, count=3000)


@pytest.mark.parametrize("size", CELLS)
def test_identical_permuted_and_swapped(size: float) -> None:
    one, other = cloud(0), cloud(1)
    same = occupancy_counts(one, one[::-1], size)
    assert same.tp > 0
    assert iou(*same) == pytest.approx(1.0)
    ahead, back = occupancy_counts(one, other, size), occupancy_counts(other, one, size)
    assert ahead == Counts(back.tp, back.fp, back.fn)
    assert 0 < iou(*ahead) < 1


def test_counts_are_those_of_sets() -> None:
    cells = (np.floor(points / 0.5).astype(int) for points in (cloud(0), cloud(1)))
    ours, real = ({tuple(row) for row in rows} for rows in cells)
    expected = Counts(len(ours & real), len(real - ours), len(ours - real))
    assert occupancy_counts(cloud(0), cloud(1), 0.5) == expected


def test_many_points_in_a_cell_count_once_and_far_ones_not_at_all() -> None:
    points = cloud(0)
    more = np.concatenate([points, points, [[1e9, 0.0, 0.0]]])
    assert occupancy_counts(more, points, 0.1) == occupancy_counts(points, points, 0.1)


def test_no_cell_at_all_is_zero_not_nan() -> None:
    far = np.array([[1e9, 0.0, 0.0]])
    assert occupancy_counts(far, far, 0.5) == Counts(0, 0, 0)
    assert iou(0, 0, 0) == 0


def test_scenes_are_summed_before_the_division() -> None:
    big, small = Counts(90, 10, 0), Counts(0, 1, 1)
    total = Counts(*np.sum([big, small], axis=0).tolist())
    assert iou(*total) == pytest.approx(90 / 102)
    assert iou(*total) != pytest.approx((iou(*big) + iou(*small)) / 2)


def test_the_legacy_counts_reach_50_cells_only() -> None:
    near, beyond = np.array([[25.2, 0.0, 0.0]]), np.array([[25.3, 0.0, 0.0]])
    assert occupancy_counts_legacy(near, near, 0.5) == Counts(1, 0, 0)
    assert occupancy_counts_legacy(near, beyond, 0.5) == Counts(0, 0, 1)
    assert occupancy_counts(beyond, beyond, 0.5) == Counts(1, 0, 0)


@pytest.mark.parametrize("size", CELLS)
def test_golden(size: float, reference: Any) -> None:
    pair = reference.predicted, reference.truth
    counts = occupancy_counts(*pair, size)
    assert list(counts) == reference.values["iou_lidiff_tp_fn_fp"][str(size)]
    assert iou(*counts) == pytest.approx(reference.values["iou_lidiff"][str(size)], abs=1e-6)
    legacy = iou(*occupancy_counts_legacy(*pair, size))
    assert legacy == pytest.approx(reference.values["iou_scorelidar_dpo"][str(size)], abs=1e-6)
