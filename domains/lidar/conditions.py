"""What a LiDAR network is told: partial scans, by the names under which batches carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

from domains.batch import Batch, Request

if TYPE_CHECKING:
    from torch import Tensor

    from domains.lidar.network.encoder import Condition
    from domains.lidar.points.encoder import Levels

__all__ = ["ScanCondition", "SceneCondition", "asked_of", "told_to"]


class ScanCondition(TypedDict):
    """The scans of a batch; without either entry the network knows nothing of them.

    Attributes:
        partial: Points of each scan [b, p, 3], metre.
        encoded: What the encoder made of them, once for all steps of a sampler: there in every
            batch that ``LidarDenoiser.encode`` has seen.
    """

    partial: NotRequired[Tensor]
    encoded: Condition | Levels


class SceneCondition(TypedDict):
    """What one scene is asked to complete.

    Attributes:
        partial: Points of its scan that the network is told [p, 3], metre.
        scan: All points of its scan within the radius [s, 3], of loose scans.
    """

    partial: Tensor
    scan: NotRequired[Tensor]


def told_to(batch: Batch) -> ScanCondition:
    """Return the condition of a batch by its typed names."""
    return cast("ScanCondition", batch.condition)


def asked_of(request: Request) -> SceneCondition:
    """Return the condition of one scene by its typed names."""
    return cast("SceneCondition", request.condition)
