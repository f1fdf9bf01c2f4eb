"""The report's labels and explanations of the measures of completed scenes."""

from domains.evaluation.statistics.sets import Metric

__all__ = ["METRICS"]

# Most important first: the first one with a direction decides the report's headline.
# Two sets are equal where they differ by less than a tenth of the ground truth's voxels (0.1 m),
# or by a hundredth of a share.
_EQUAL_M, _EQUAL_SHARE = 0.01, 0.01
METRICS = {
    "chamfer": Metric(
        "Chamfer distance, m",
        "Mean distance to the nearest point, from completion to truth and back, averaged.",
        "lower",
        same_within=_EQUAL_M,
    ),
    "chamfer_with_scan": Metric(
        "Chamfer with scan, m",
        "The same of the completion and its scan's points together, as a user keeps both.",
        "lower",
        same_within=_EQUAL_M,
    ),
    "rmse_mean": Metric(
        "“RMSE”, m",
        "As LiDiff publishes it: the mean distance from completion to truth, no root, no square.",
        "lower",
    ),
    "jsd_3d": Metric(
        "JSD 3-D",
        "Jensen–Shannon distance of point densities in cells of 0.5 m.",
        "lower",
        same_within=_EQUAL_SHARE,
    ),
    "jsd_bev": Metric(
        "JSD BEV",
        "The same seen from above: occupied cells in each column.",
        "lower",
        same_within=_EQUAL_SHARE,
    ),
    "precision_auc": Metric(
        "Precision, %", "Completed points within 5 to 10 cm of the truth, mean over it.", "higher"
    ),
    "recall_auc": Metric(
        "Recall, %", "True points within 5 to 10 cm of the completion, mean over it.", "higher"
    ),
    "f1_auc": Metric(
        "F-score, %",
        "Harmonic mean of precision and recall.",
        "higher",
        same_within=100 * _EQUAL_SHARE,
    ),
    "emd": Metric(
        "EMD, m",
        "Optimal transport of 0.5 m cells: least mean distance between the two clouds.",
        "lower",
    ),
    "emd_coarse": Metric(
        "EMD of 1 m cells, m",
        "Optimal transport of 1 m cells: what moves within one costs nothing.",
        "lower",
    ),
    "emd_gap": Metric("EMD gap, m", "How far the distance above may be too large."),
    "emd_sinkhorn_legacy": Metric(
        "EMD, legacy",
        "What Distillation-DPO publishes; its regularisation makes all voxels equally far.",
    ),
    **{
        f"iou_{size}": Metric(
            f"IoU {size} m",
            f"Cells of {size} m occupied in both, of those in either.",
            "higher",
            same_within=_EQUAL_SHARE,
        )
        for size in (0.5, 0.2, 0.1)
    },
    **{
        f"iou_legacy_{size}": Metric(
            f"IoU {size} m, legacy",
            f"As ScoreLiDAR and Distillation-DPO count: within {50.5 * size:.4g} m only.",
        )
        for size in (0.5, 0.2, 0.1)
    },
    "points": Metric("Points", "Points of the completion."),
    "seconds": Metric("Seconds / scene", "Wall-clock time of completing, model loaded.", "lower"),
    "network_calls": Metric("Network calls", "Network evaluations per scene.", "lower"),
    "memory_gb": Metric("Memory, GB", "Most that a shard's process held, or its GPU.", "lower"),
}
