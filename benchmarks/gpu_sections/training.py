"""Teacher training and distillation through the real stages: updates a second, busy share."""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.gpu_sections.machine import Case, Machine, busy_share
from domains.config.fields import located
from domains.distillation.training.distiller import Distiller
from domains.protein.data.dataset import load_domains
from domains.protein.data.token_batches import TokenBatches
from domains.protein.field import FIELD
from domains.protein.settings import ProteinPretrain
from domains.stages.distill import distill
from domains.stages.pretrain import pretrain

__all__ = ["cases"]

_SECONDS = 6.0  # of each training; the first half of its updates is not counted
_OBJECTIVES: dict[str, dict[str, Any]] = {
    "flow map": {
        "objective": {"kind": "flow_map"},
        "teacher_rescale": {"sharpness": 5, "spread": 1},
        "roll_out": {"steps": 8, "eta": 0, "self_conditioning": True},
    },
    "vsd": {"objective": {"kind": "vsd"}, "roll_out": {"steps": 8}},
    "sid": {"objective": {"kind": "sid"}, "roll_out": {"steps": 8}},
    "sid, one roll-out": {
        "objective": {"kind": "sid"},
        "roll_out": {"steps": 8, "shared": True},
    },
}
_TINY = {"token_dim": 16, "nlayers": 2, "nheads": 2, "pair_repr_dim": 8, "dim_cond": 16}


def cases(machine: Machine) -> list[Case]:
    """A teacher, then a student of each objective, in bf16."""
    made: list[Case] = [("pretrain, proteina-small, bf16", partial(_pretrain, machine))]
    made += [
        (f"{name}, 28 chains of 50-80, 8 calls, bf16", partial(_distil, machine, settings))
        for name, settings in _OBJECTIVES.items()
    ]
    return made


def _fit(machine: Machine) -> dict[str, Any]:
    often = {"checkpoint_every": 10**6, "log_every": 10, "precision": "bf16-mixed"}
    return often | ({"steps": 2} if machine.dry else {"seconds": _SECONDS})


def _network(machine: Machine) -> dict[str, Any]:
    text = (located("proteina-small") / "model.json").read_text()
    return json.loads(text)["config"]["network"] | (_TINY if machine.dry else {})


def _pretrain(machine: Machine) -> dict[str, Any]:
    lengths = {"low": 40, "high": 128}
    residues = 256 if machine.dry else 12288
    section = {"lengths": lengths, "residues_per_batch": residues, "fit": _fit(machine)}
    section |= {"network": _network(machine), "optimiser": {"rate": 1e-4, "warmup": 100}}
    with tempfile.TemporaryDirectory() as place:
        config = _written(Path(place), {"teacher": "pretrain", "pretrain": section})
        found = _trained(machine, partial(pretrain, config, Path(place) / "state"), Path(place))
    domains = load_domains(None).subset("train", 40, 128)
    batches = TokenBatches(domains, residues, 0)
    real = [int(domains.lengths[batches.members(k)].sum()) for k in range(batches.per_epoch)]
    mean = sum(real) / len(real)
    return {**found, "residues_per_s": mean * found["updates_per_s"]}


def _distil(machine: Machine, settings: dict[str, Any]) -> dict[str, Any]:
    size = 2 if machine.dry else 28
    student = {"batch_size": size, "fit": _fit(machine), **settings}
    student |= {"lengths": {"low": 40, "high": 44} if machine.dry else {"low": 50, "high": 80}}
    run = {"teacher": "proteina-small", "students": {"student": student}}
    with tempfile.TemporaryDirectory() as place:
        config, teacher = _written(Path(place), run), located("proteina-small")
        if machine.dry:
            teacher = Path(place) / "teacher"
            plain: Any = {"network": _network(machine), "fit": {"steps": 1}}
            FIELD.save(FIELD.new(ProteinPretrain(**plain), 0), teacher)
        stage = partial(distill, config, "student", teacher, Path(place) / "state")
        return _trained(machine, stage, Path(place))


def _written(place: Path, run: dict[str, Any]) -> Path:
    """Write a run's settings; JSON is YAML."""
    path = place / "run.yaml"
    sets = {"generate": {"lengths": [50]}, "sets": {"natives": {"model": "data"}}}
    path.write_text(json.dumps({"name": "gpu", "domain": "protein", "seed": 0, **sets, **run}))
    return path


def _trained(machine: Machine, stage: Any, place: Path) -> dict[str, Any]:
    """Run a stage; count the updates of its second half on the clock."""
    marks, found = [time.perf_counter()], dict[str, Any]()
    step = Distiller.training_step

    def marked(self: Distiller, number: int, batch_idx: int) -> None:
        step(self, number, batch_idx)
        marks.append(time.perf_counter())

    with busy_share(machine.device, found), patch.object(Distiller, "training_step", marked):
        stage(place / "model")
    if machine.device.type == "cuda":
        found["peak_gb"] = torch.cuda.max_memory_allocated(machine.device) / 1e9
        torch.cuda.reset_peak_memory_stats(machine.device)
    half = marks[len(marks) // 2 :]
    rate = (len(half) - 1) / max(half[-1] - half[0], 1e-9)
    return {"updates_per_s": rate, "ms": 1000 / rate, "updates": len(marks) - 1, **found}
