"""Contract: whole stages run on the paths that are made for accelerators.

There is none here: every module is told that the CPU is one, on which to ask is to wait.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_run import NETWORK, save_teacher, write_config

from domains import device
from domains.distillation.training.log_table import LogTable
from domains.field import load_field
from domains.protein.network import captured
from domains.stages.distill import distill
from domains.stages.pretrain import pretrain

LOG = {"log_every": 2, "steps": 4, "precision": "bf16-mixed"}


@pytest.fixture(autouse=True)
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    told = 0
    for module in list(sys.modules.values()):
        if vars(module).get("waits") is device.waits and module is not device:
            monkeypatch.setattr(module, "waits", lambda device: True)
            told += 1
    assert told > 5
    made = captured.Captured.__init__
    monkeypatch.setattr(
        captured.Captured, "__init__", lambda self, *_: made(self, lambda run: run, "cpu")
    )


def rows(path: Path) -> list[dict[str, float]]:
    found = LogTable(path / "log.csv", 99).rows
    assert [row["step"] for row in found] == [2, 4]
    assert all(value == value and abs(value) < 1e6 for row in found for value in row.values())
    return found


def test_teachers_are_trained(tmp_path: Path) -> None:
    section: dict[str, Any] = {
        "network": NETWORK,
        "lengths": {"low": 40, "high": 44},
        "residues_per_batch": 100,
        "fit": LOG | {"validate_every": 4},
    }
    config = write_config(tmp_path / "c.yaml", teacher="pretrain", pretrain=section)
    pretrain(config, tmp_path / "state", tmp_path / "teacher")
    first, second = rows(tmp_path / "state")
    assert "validation/flow" in second and any("flow_t" in name for name in first)
    load_field("protein").load(tmp_path / "teacher")


@pytest.mark.parametrize(
    "student",
    [
        {"objective": {"kind": "vsd"}},
        {"objective": {"kind": "sid"}, "fit": LOG | {"accumulate": 2}},
        {
            "objective": {"kind": "flow_map"},
            "roll_out": {"steps": 2, "eta": 0, "self_conditioning": True},
            "teacher_rescale": {"sharpness": 5, "spread": 1},
        },
        {"objective": {"kind": "consistency"}},
    ],
    ids=lambda student: student["objective"]["kind"],
)
def test_students_are_trained(tmp_path: Path, student: dict[str, Any]) -> None:
    teacher = save_teacher(tmp_path / "teacher")
    settings = {"roll_out": {"steps": 2}, "batch_size": 2, "fit": LOG} | student
    settings["lengths"] = {"low": 40, "high": 44}
    config = write_config(tmp_path / "c.yaml", students={"student": settings}, sets={})
    distill(config, "student", teacher, tmp_path / "state", tmp_path / "student")
    rows(tmp_path / "state")
    load_field("protein").load(tmp_path / "student")
