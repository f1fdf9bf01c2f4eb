"""Contract: a scene is one row; a broken prediction shows as NaN, broken truth is an error."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lidar.clouds import scattered as cloud

from domains.errors import FewstepError
from domains.lidar.metrics.emd import emd
from domains.lidar.metrics.scene import AVERAGED, scene_metrics, set_iou


def test_a_perfect_scene() -> None:
    row = scene_metrics(cloud(0), cloud(0))
    assert row["finite"] == 1
    zero = ("chamfer", "rmse_mean", "jsd_3d", "jsd_bev", "emd", "emd_gap")
    assert [row[name] for name in zero] == [0] * len(zero)
    assert row["f1_auc"] == pytest.approx(100)
    assert row["iou_0.1_fn"] == row["iou_0.1_fp"] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_broken_predictions_are_nan_in_every_column(value: float) -> None:
    broken = cloud(0)
    broken[3, 1] = value
    good = scene_metrics(cloud(0), cloud(1))
    for prediction in (broken, broken[:0]):
        row = scene_metrics(prediction, cloud(1))
        assert list(row) == list(good)
        assert row.pop("finite") == 0
        assert all(math.isnan(each) for each in row.values())


def test_transport_can_be_left_out() -> None:
    whole, short = (scene_metrics(cloud(0), cloud(1), transport=way) for way in (True, False))
    left_out = {"emd", "emd_gap", "emd_sinkhorn_legacy"}
    assert short == {name: value for name, value in whole.items() if name not in left_out}
    assert list(scene_metrics(cloud(0)[:0], cloud(1), transport=False)) == list(short)


def test_coarse_transport_moves_voxels_of_a_metre() -> None:
    one, other = cloud(0), cloud(1)
    row, whole = scene_metrics(one, other, transport="coarse"), scene_metrics(one, other)
    assert (row["emd_coarse"], row["emd_gap"]) == emd(one, other, 1.0)
    # A point and the centre of its voxel are at most half a diagonal apart, in either cloud.
    assert abs(row["emd_coarse"] - whole["emd"]) < np.sqrt(3) * (1.0 + 0.5)
    assert row["emd_coarse"] != whole["emd"]
    assert set(row) - set(whole) == {"emd_coarse"}
    assert set(whole) - set(row) == {"emd", "emd_sinkhorn_legacy"}
    assert list(scene_metrics(one[:0], other, transport="coarse")) == list(row)


def test_broken_truth_is_an_error() -> None:
    for truth in (np.full((5, 3), np.nan), np.zeros((0, 3))):
        with pytest.raises(FewstepError):
            scene_metrics(cloud(0), truth)


def test_points_far_away_spoil_distances_but_no_cells() -> None:
    far = np.concatenate([cloud(0), [[1e9, 0.0, 0.0]]])
    row, clean = scene_metrics(far, cloud(1)), scene_metrics(cloud(0), cloud(1))
    for name in ("jsd_3d", "jsd_bev", "iou_0.1_fp", "iou_legacy_0.5_tp", "recall_auc"):
        assert row[name] == clean[name]
    for name in ("chamfer", "rmse_mean", "emd"):
        assert row[name] > 1e5


def test_set_iou_is_the_micro_average_of_the_measurable_scenes() -> None:
    pairs = [(cloud(0), cloud(1)), (cloud(2, 50), cloud(3)), (cloud(4)[:0], cloud(5))]
    scenes = pd.DataFrame([scene_metrics(*pair) for pair in pairs])
    total = scenes[["iou_0.5_tp", "iou_0.5_fn", "iou_0.5_fp"]].sum()
    found = {measure.name: measure for measure in set_iou(scenes)}
    assert set(found) == {
        f"{kind}_{size}" for kind in ("iou", "iou_legacy") for size in (0.5, 0.2, 0.1)
    }
    value, low, high = found["iou_0.5"].interval
    assert value == pytest.approx(total["iou_0.5_tp"] / total.sum())
    each = [set_iou(scenes.iloc[[k]])[0].interval.value for k in (0, 1)]
    assert min(each) <= low < value < high <= max(each)
    assert found["iou_0.5"].n == 2


def test_no_measurable_scene_is_nan() -> None:
    measure = set_iou(pd.DataFrame([scene_metrics(cloud(0)[:0], cloud(1))]))[0]
    assert math.isnan(measure.interval.value)
    assert measure.n == 0


def test_golden(reference: Any) -> None:
    row = scene_metrics(reference.predicted, reference.truth)
    assert set(AVERAGED) - {"emd_coarse"} <= set(row)
    golden = reference.values
    names = {
        "chamfer": "cd_mean",
        "rmse_mean": "rmse_mean",
        "precision_auc": "precision_auc",
        "recall_auc": "recall_auc",
        "f1_auc": "f1_auc",
        "jsd_3d": "jsd_3d",
        "jsd_bev": "jsd_bev",
        "emd": "emd_exact_same_voxel_measures",
    }
    for ours, theirs in names.items():
        assert row[ours] == pytest.approx(golden[theirs], abs=1e-6)
    micro = {measure.name: measure.interval.value for measure in set_iou(pd.DataFrame([row]))}
    for size in ("0.5", "0.2", "0.1"):
        assert micro[f"iou_{size}"] == pytest.approx(golden["iou_lidiff"][size], abs=1e-6)
