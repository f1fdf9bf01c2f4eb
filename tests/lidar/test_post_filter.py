"""Contract: LiDiff's range and heights, all borders excluded; broken points stay to be seen."""

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.lidar.post_filter import post_filter

# Mean 1, sample deviation sqrt 2: heights between -1.83 and 2 count.
SCAN = np.array([[5.0, 0.0, 0.0], [6.0, 0.0, 2.0]])


def heights(*values: float) -> np.ndarray:
    return np.array([[1.0, 1.0, value] for value in values])


def test_heights_are_bounded_by_the_scan() -> None:
    points = heights(-1.9, -1.5, 0.0, 1.9, 2.0, 3.0)
    np.testing.assert_array_equal(post_filter(points, SCAN), points[1:4])


def test_range_is_below_50_metres_in_space() -> None:
    points = np.array([[49.9, 0, 0], [50.0, 0, 0], [0, -30.0, 0], [36.0, 36.0, 0], [1e9, 0, 0]])
    np.testing.assert_array_equal(post_filter(points, SCAN), points[[0, 2]])


def test_it_keeps_dtype_and_order_and_is_idempotent() -> None:
    points = np.random.default_rng(0).normal(scale=30.0, size=(1000, 3)).astype(np.float32)
    kept = post_filter(points, SCAN.astype(np.float32))
    assert kept.dtype == np.float32
    assert 0 < len(kept) < 1000
    np.testing.assert_array_equal(post_filter(kept, SCAN.astype(np.float32)), kept)


def test_points_that_are_not_finite_stay() -> None:
    broken = np.array([[np.nan, 0.0, 0.0], [0.0, 0.0, np.inf], [np.inf, 0.0, 99.0]])
    np.testing.assert_array_equal(post_filter(broken, SCAN), broken)


def test_huge_finite_points_go() -> None:
    assert len(post_filter(np.full((1, 3), 1e30, np.float32), SCAN)) == 0


def test_nothing_stays_nothing() -> None:
    assert post_filter(np.zeros((0, 3)), SCAN).shape == (0, 3)


def test_a_scan_must_have_two_finite_points() -> None:
    with pytest.raises(FewstepError, match="2 points or more, got 1"):
        post_filter(heights(0.0), SCAN[:1])
    with pytest.raises(FewstepError, match="not finite"):
        post_filter(heights(0.0), np.full((4, 3), np.nan))


def test_radius_is_that_of_the_scene() -> None:
    points = np.array([[9.9, 0, 0], [10.0, 0, 0], [49.9, 0, 0]])
    np.testing.assert_array_equal(post_filter(points, SCAN, 10.0), points[:1])
