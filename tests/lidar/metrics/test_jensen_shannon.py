"""Contract: 0 for equal histograms, sqrt(ln 2) for disjoint ones, cells of the cube only."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from lidar.clouds import scattered
from scipy.spatial.distance import jensenshannon

from domains.lidar.metrics.jensen_shannon import jsd_3d, jsd_bev

cloud = partial(scattered, count=3000, spread=4.0)


FAR = np.array([[1e9, 0.0, 0.0]])
BOTH = pytest.mark.parametrize("jsd", [jsd_3d, jsd_bev])


@BOTH
def test_identical_disjoint_permuted_and_swapped(jsd: Callable[..., float]) -> None:
    one, other = cloud(0), cloud(1, count=2000)
    assert jsd(one, one[::-1]) == 0
    assert jsd(one[:100] % 10, -10 - one[:100] % 10) == pytest.approx(math.sqrt(math.log(2)))
    assert jsd(one, other) == pytest.approx(jsd(other[::-1], one))
    assert 0 < jsd(one, other) < 0.83


@BOTH
def test_what_lies_outside_does_not_count(jsd: Callable[..., float]) -> None:
    one, other = cloud(0), cloud(1)
    assert jsd(np.concatenate([one, FAR]), other) == jsd(one, other)
    assert math.isnan(jsd(FAR, other))
    assert math.isnan(jsd(other, FAR))


def test_both_are_those_of_dense_histograms() -> None:
    edges = (np.linspace(-50, 50, 201),) * 3
    one, other = cloud(0), cloud(1, count=2000)
    dense = [np.histogramdd(points, edges)[0] for points in (one, other)]
    expected = jensenshannon(dense[0].reshape(-1), dense[1].reshape(-1))
    assert jsd_3d(one, other) == pytest.approx(expected, abs=1e-12)
    views = [np.clip(histogram, 0, 1).sum(2).reshape(-1) for histogram in dense]
    assert jsd_bev(one, other) == pytest.approx(jensenshannon(views[0], views[1]), abs=1e-12)


def test_the_bird_counts_cells_not_points() -> None:
    point, above = np.array([[1.1, 1.1, 1.1]]), np.array([[1.1, 1.1, 3.1]])
    elsewhere = np.array([[9.1, 9.1, 1.1]])
    one = np.concatenate([point, elsewhere])
    assert jsd_bev(one, np.concatenate([above.repeat(9, 0), elsewhere])) == 0
    assert jsd_bev(one, np.concatenate([one, above])) > 0


def test_golden(reference: Any) -> None:
    pair = reference.predicted, reference.truth
    assert jsd_3d(*pair) == pytest.approx(reference.values["jsd_3d"], abs=1e-6)
    assert jsd_bev(*pair) == pytest.approx(reference.values["jsd_bev"], abs=1e-6)
