"""Contract: unsquared nearest distances in metre, both ways, as LiDiff's evaluation has them."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from domains.lidar.metrics.distances import (
    THRESHOLDS,
    NearestDistances,
    areas,
    chamfer,
    nearest_distances,
    precision_recall_f,
    rmse_mean,
)


def clouds(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(200, 3)), rng.normal(size=(150, 3))


def test_identical_clouds_are_perfect() -> None:
    points, _ = clouds()
    distances = nearest_distances(points, points[::-1])
    assert chamfer(distances) == rmse_mean(distances) == 0
    np.testing.assert_array_equal(precision_recall_f(distances), 100)
    np.testing.assert_allclose(areas(precision_recall_f(distances)), 100)


def test_distances_are_those_of_all_pairs() -> None:
    predicted, truth = clouds()
    matrix = cdist(predicted, truth)
    found = nearest_distances(predicted, truth)
    np.testing.assert_allclose(found.to_truth, matrix.min(1))
    np.testing.assert_allclose(found.to_predicted, matrix.min(0))


def test_chamfer_is_symmetric_and_the_rmse_mean_is_not() -> None:
    one, other = clouds()
    ahead, back = nearest_distances(one, other), nearest_distances(other, one)
    assert chamfer(ahead) == pytest.approx(chamfer(back), rel=1e-12)
    assert rmse_mean(ahead) + rmse_mean(back) == pytest.approx(2 * chamfer(ahead))
    assert rmse_mean(ahead) != pytest.approx(rmse_mean(back))


def test_order_and_rigid_motion_change_nothing() -> None:
    predicted, truth = clouds()
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    turned = nearest_distances(predicted[::-1] @ turn + 3.0, truth @ turn + 3.0)
    assert chamfer(turned) == pytest.approx(chamfer(nearest_distances(predicted, truth)))


def test_a_point_far_away_weighs_its_share() -> None:
    points, _ = clouds()
    far = np.concatenate([points, [[1e9, 0.0, 0.0]]])
    assert rmse_mean(nearest_distances(far, points)) == pytest.approx(1e9 / len(far), rel=1e-6)
    assert rmse_mean(nearest_distances(points, far)) == 0


def test_a_distance_equal_to_a_threshold_is_not_below_it() -> None:
    distances = NearestDistances(np.array([THRESHOLDS[0], 1.0]), np.array([0.0]))
    precision, recall, f_score = precision_recall_f(distances)
    np.testing.assert_array_equal(precision, [0.0] + [50.0] * 99)
    np.testing.assert_array_equal(recall, 100)
    np.testing.assert_allclose(f_score, [0.0] + [200 / 3] * 99)


def test_no_match_at_all_is_zero_not_nan() -> None:
    distances = NearestDistances(np.ones(3), np.ones(2))
    np.testing.assert_array_equal(precision_recall_f(distances), 0)


def test_area_of_a_line_is_its_middle() -> None:
    line = np.linspace(20.0, 40.0, len(THRESHOLDS))
    np.testing.assert_allclose(areas(np.stack([line, line + 10])), [30.0, 40.0])


def test_golden(reference: Any) -> None:
    distances = nearest_distances(reference.predicted, reference.truth)
    golden = reference.values
    assert chamfer(distances) == pytest.approx(golden["cd_mean"], abs=1e-6)
    assert rmse_mean(distances) == pytest.approx(golden["rmse_mean"], abs=1e-6)
    back = float(distances.to_predicted.mean())
    assert back == pytest.approx(golden["mean_dist_gt_to_pred"], abs=1e-6)
    curves = precision_recall_f(distances)
    names = ("precision_auc", "recall_auc", "f1_auc")
    np.testing.assert_allclose(areas(curves), [golden[name] for name in names], atol=1e-6)
    for threshold, expected in golden["pr_at_thresholds"].items():
        at = int(np.abs(THRESHOLDS - float(threshold)).argmin())
        np.testing.assert_allclose(curves[:, at], expected, atol=1e-6)
