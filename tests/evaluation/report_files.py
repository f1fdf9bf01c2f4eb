"""Files of the evaluate stage with made-up numbers, for the tests of the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from domains.evaluation.statistics.sets import Metric

METRICS = {
    "good": Metric("Goodness", "Share of good samples.", "higher"),
    "far": Metric("Distance", "Distance from the data.", "lower"),
    "size": Metric("Size", "Mean size."),
}


def _scene(kind: str, count: int, title: str, link: str | None) -> dict[str, Any]:
    angle = np.linspace(0, 20, count)
    points = np.stack([np.cos(angle), np.sin(angle), angle / 5], axis=1)
    return {
        "title": title,
        "caption": title,
        "kind": kind,
        "points": points.tolist(),
        "colour": None,
        "link": link,
    }


def write_set(
    root: Path,
    name: str,
    role: str,
    good: float = 0.9,
    *,
    steps: int | None = 4,
    seconds: float | None = 1.0,
    label: str | None = None,
    far: float = 2.0,
    n: int = 20,
    seeds: tuple[int, ...] = (0, 1),
    tool: str = "t",
    link: str | None = None,
) -> Path:
    """Write the four files of one set as the evaluate stage does."""
    path = root / name
    path.mkdir(parents=True)
    facts = {
        "run": "r",
        "domain": "any",
        "role": role,
        "label": label or name,
        "steps": steps,
        "noise_scale": 0.45,
        "seeds": list(seeds),
        "n": n,
        "seconds_per_sample": seconds,
        "network_calls": steps,
        "tool": tool,
        "versions": {"torch": "1"},
        "created": "now",
    }
    (path / "set.json").write_text(json.dumps(facts))
    rows = [
        {
            "run": "r",
            "domain": "any",
            "role": role,
            "steps": steps,
            "noise_scale": 0.45,
            "metric": key,
            "value": value,
            "low": value - 0.02,
            "high": value + 0.02,
            "n": n,
            "seeds": "0 1",
            "tool": tool,
        }
        for key, value in (("good", good), ("far", far), ("size", 5.0))
    ]
    pd.DataFrame(rows).to_csv(path / "set.csv", index=False)
    draw = np.random.default_rng(steps or 0)
    pd.DataFrame(
        {"sample": range(n), "length": 50, "seed": 0, "size": draw.normal(5, 1, n)}
    ).to_csv(path / "samples.csv", index=False)
    scenes = [_scene("trace", 60, label or "chain", link), _scene("cloud", 900, "c", None)]
    gallery = {"scenes": scenes, "matrices": [{"title": "map", "values": [[0, 1], [None, 2]]}]}
    (path / "gallery.json").write_text(json.dumps(gallery))
    return path
