"""A tiny LiDAR run, from simulated streets to its report."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_run import LIDAR_NETWORK, deep_update

from domains.stages.distill import distill
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate
from domains.stages.pretrain import pretrain
from domains.stages.report import report
from domains.stages.simulate import simulate

__all__ = ["SETS", "make_run", "write"]

SETS = {
    "data": {"model": "data"},
    "input": {"model": "decoys"},
    "thinned": {"model": "decoys", "points": 50},
    "jitter": {"model": "teacher", "sampler": {"kind": "jitter", "noise_scale": 0.2}},
    "teacher": {"model": "teacher", "sampler": {"kind": "dpm", "steps": 2, "guidance": 2.0}},
    "refined": {"model": "teacher", "refine": True, "sampler": {"kind": "renoise", "steps": 1}},
    "student": {"model": "student", "sampler": {"kind": "renoise", "steps": 2}},
}


def write(path: Path, **changes: Any) -> Path:
    base: dict[str, Any] = {
        "name": "tiny",
        "domain": "lidar",
        "seed": 1,
        "data": {"simulate": {"train": 2, "held_out": 1, "scans": 2, "azimuths": 96}},
        "teacher": "pretrain",
        "pretrain": {"network": LIDAR_NETWORK, "fit": {"steps": 2, "log_every": 1}},
        "students": {
            "student": {
                "objective": {"kind": "distillation_dpo"},
                "teacher_guidance": 1.5,
                "roll_out": {"steps": 2},
                "batch_size": 2,
                "fit": {"steps": 2, "validate_every": 2, "log_every": 1},
                "validation_samples": 2,
            }
        },
        "generate": {"scenes": 2, "formats": ["bin", "png"]},
        "sets": SETS,
        "evaluate": {"gallery": 1},
    }
    path.write_text(yaml.safe_dump(deep_update(base, changes)), encoding="utf-8")
    return path


def make_run(root: Path) -> Path:
    """Play all stages in ``root``, and return it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        out = Path("results/tiny")
        config = write(root / "run.yaml")
        simulate(config, out / "streets")
        pretrain(config, out / "state/first", out / "first")
        start = {"start": str(out / "first"), "part": "refinement"}
        refinement = write(root / "refinement.yaml", pretrain=start)
        pretrain(refinement, out / "state/teacher", out / "teacher")
        distill(config, "student", out / "teacher", out / "state/student", out / "student")
        for name, facts in SETS.items():
            model = None if facts["model"] in ("data", "decoys") else out / facts["model"]
            generate(config, name, 0, out / "samples" / name / "shard_0000", model)
            evaluate(config, name, out / "samples" / name, out / "evaluation" / name)
        log = out / "state/student/log.csv"
        report(config, out / "evaluation", out / "report.html", out / "results.csv", log)
    return root
