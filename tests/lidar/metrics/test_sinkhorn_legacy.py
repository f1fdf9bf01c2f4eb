"""Contract: the number is that of the dense iteration, without its matrices."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from domains.errors import FewstepError
from domains.lidar.metrics.clouds import voxel_counts
from domains.lidar.metrics.sinkhorn_legacy import MOST_VOXELS, emd_sinkhorn_legacy


def dense(one: np.ndarray, other: np.ndarray) -> float:
    voxels, ours, real = voxel_counts(one, other)
    a, b = ours[ours > 0] / len(one), real[real > 0] / len(other)
    costs = cdist(0.5 * voxels[ours > 0], 0.5 * voxels[real > 0])
    kernel = np.exp(-costs / 0.001) + 1e-9
    u, v = np.ones(len(a)), np.ones(len(b))
    for _ in range(3000):
        before, u = u, a / (kernel @ v)
        v = b / (kernel.T @ u)
        if np.abs(u - before).sum() < 1e-4:
            break
    return float((u[:, None] * kernel * v * costs).sum())


@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0])
def test_it_is_the_dense_iteration(offset: float) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(400, 3)), rng.normal(size=(300, 3)) + offset
    assert emd_sinkhorn_legacy(one, other) == pytest.approx(dense(one, other), rel=1e-9)


def test_identical_clouds_are_not_quite_zero_apart() -> None:
    points = np.random.default_rng(0).normal(size=(400, 3))
    assert 0 < emd_sinkhorn_legacy(points, points[::-1]) < 1e-3


def test_scenes_too_big_are_nan_as_they_are_left_out_in_the_original() -> None:
    points = np.arange(MOST_VOXELS // 2 + 1)[:, None] * np.ones(3)
    assert math.isnan(emd_sinkhorn_legacy(points, points))


def test_broken_clouds_are_errors() -> None:
    with pytest.raises(FewstepError):
        emd_sinkhorn_legacy(np.full((1, 3), np.nan), np.zeros((1, 3)))


def test_golden(reference: Any) -> None:
    counts = voxel_counts(reference.predicted, reference.truth)
    occupied = [np.count_nonzero(counts.predicted), np.count_nonzero(counts.truth)]
    assert occupied == reference.values["emd_voxels"]
    found = emd_sinkhorn_legacy(reference.predicted, reference.truth)
    assert found == pytest.approx(reference.values["emd_dpo_default"], abs=1e-4)
