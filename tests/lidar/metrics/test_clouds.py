"""Contract: cells and voxels count every point once, and what can't be counted is an error."""

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.lidar.metrics.clouds import check_cloud, distinct_rows, occupied_cells, voxel_counts


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [5.0, 0.5])
def test_cells_are_those_of_numpy_borders_included(size: float, dtype: type) -> None:
    rng = np.random.default_rng(0)
    inside = rng.uniform(-60, 60, (2000, 3))
    borders = rng.integers(-101, 102, (2000, 3)) * 0.5
    points = np.concatenate([inside, borders]).astype(dtype)
    edges = np.linspace(-50, 50, int(100 / size) + 1)
    dense = np.histogramdd(points, (edges,) * 3)[0].reshape(-1)
    cells = occupied_cells(points, size)
    np.testing.assert_array_equal(cells.numbers, np.flatnonzero(dense))
    np.testing.assert_array_equal(cells.counts, dense[cells.numbers])


def test_a_border_belongs_to_the_upper_cell_and_the_last_one_is_closed() -> None:
    on_border = np.array([[0.5, 0.0, 0.0]])
    above, below = on_border + np.array([1e-9, 0, 0]), on_border - np.array([1e-9, 0, 0])
    assert occupied_cells(on_border, 0.5).numbers == occupied_cells(above, 0.5).numbers
    assert occupied_cells(on_border, 0.5).numbers != occupied_cells(below, 0.5).numbers
    assert occupied_cells(np.full((1, 3), 50.0), 0.1).numbers == [10**9 - 1]
    assert len(occupied_cells(np.full((1, 3), np.nextafter(50.0, 51.0)), 0.1).numbers) == 0


def test_points_far_away_are_dropped_by_cells_and_kept_by_voxels() -> None:
    points = np.array([[0.1, 0.1, 0.1], [1e9, 0, 0], [-1e30, 0, 1e9]])
    assert occupied_cells(points, 0.1).counts.sum() == 1
    counts = voxel_counts(points, points[:1], 0.5)
    assert sorted(counts.predicted) == [1, 1, 1]
    assert counts.truth.sum() == 1
    assert {tuple(row) for row in counts.voxels} == {(0, 0, 0), (2e9, 0, 0), (-2e30, 0, 2e9)}


def test_voxels_begin_at_multiples_of_their_size() -> None:
    points = np.array([[-0.5, 0.0, 0.49], [-0.51, 0.5, 0.99]])
    counts = voxel_counts(points, points, 0.5)
    assert {tuple(row) for row in counts.voxels} == {(-1, 0, 0), (-2, 1, 1)}


def test_distinct_rows_are_those_of_numpy() -> None:
    rows = np.random.default_rng(1).integers(-3, 3, (500, 3)).astype(float)
    distinct, place = distinct_rows(rows)
    np.testing.assert_array_equal(distinct, np.unique(rows, axis=0))
    np.testing.assert_array_equal(distinct[place], rows)


def test_a_cloud_without_points_or_with_broken_ones_is_an_error() -> None:
    with pytest.raises(FewstepError, match="empty"):
        check_cloud(np.zeros((0, 3)))
    for broken in (np.nan, np.inf):
        points = np.zeros((4, 3))
        points[2, 1] = broken
        with pytest.raises(FewstepError, match="1 broken points of 4"):
            check_cloud(points)
