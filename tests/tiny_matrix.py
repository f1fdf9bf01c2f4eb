"""Settings of a matrix of seconds, in both fields."""

from typing import Any

from tiny_run import deep_update

__all__ = ["matrix_content"]


def matrix_content(**changes: Any) -> dict[str, Any]:
    """Settings of an objective that can be trained in both fields, and of one that can't."""
    fit = {"log_every": 1, "validations": 2}
    base: dict[str, Any] = {
        "name": "grid",
        "seeds": [0],
        "steps": [2],
        "domains": {
            "protein": {
                "teacher": "protein_teacher",
                "network_calls": 100,
                "noise_scale": 0.45,
                "student": {
                    "lengths": {"low": 40, "high": 44},
                    "batch_size": 2,
                    "validation_samples": 2,
                    "fit": fit,
                },
                "generate": {"lengths": [40, 44]},
                "sets": {"data": {"model": "data"}},
                "evaluate": {"proxy": False, "novelty_shortlist": 0, "gallery": 0},
            },
            "lidar": {
                "teacher": "lidar_teacher",
                "data": {"simulate": {"train": 1, "held_out": 1, "scans": 2, "azimuths": 96}},
                "network_calls": 40,
                "noise_scale": 1.0,
                "student": {"batch_size": 1, "validation_samples": 1, "fit": fit},
                "generate": {"scenes": 2},
                "evaluate": {"transport": False, "gallery": 0},
                "measures": ["chamfer", "jsd_bev"],
            },
        },
        "objectives": {
            "vsd": {"objective": {"kind": "vsd"}},
            "aligned": {"objective": {"kind": "diffusion_dpo"}},
        },
    }
    return deep_update(base, changes)
