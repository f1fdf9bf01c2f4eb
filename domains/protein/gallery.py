"""Backbones as the report shows them: traces and distance maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from domains.batch import Sample

__all__ = ["gallery"]


def gallery(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return traces and distance maps of samples for the report."""
    scenes, matrices = [], []
    for sample in samples:
        points = 10 * sample.points.numpy().astype(float)
        distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
        scenes.append(
            {
                "title": sample.name,
                "caption": f"{len(points)} residues",
                "kind": "trace",
                "points": points.round(2).tolist(),
                "colour": None,
                "link": None,
            }
        )
        matrices.append(
            {"title": f"{sample.name}: Cα distances (Å)", "values": distances.round(1).tolist()}
        )
    return {"scenes": scenes, "matrices": matrices}
