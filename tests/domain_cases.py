"""Fields under test: a tiny teacher of each, as fixtures, and settings of a student."""

from pathlib import Path
from typing import Any

import pytest
from tiny_run import LIDAR_NETWORK, NETWORK
from torch import nn

from domains.config import Distil, Generate, Pretrain, field_names
from domains.field import Field, load_field
from domains.lidar.settings import LidarGenerate, LidarPretrain
from domains.protein.settings import ProteinDistil, ProteinGenerate, ProteinPretrain

LENGTHS = {"low": 40, "high": 44}
# A teacher of thousands of weights, what is sampled, and settings of students, for each field.
TEACHERS: dict[str, dict[str, Any]] = {"protein": NETWORK, "lidar": LIDAR_NETWORK}
PLANS: dict[str, Generate] = {
    "protein": ProteinGenerate(lengths=(40, 44)),
    "lidar": LidarGenerate(scenes=2),
}
PRETRAINS: dict[str, type[Pretrain]] = {"protein": ProteinPretrain, "lidar": LidarPretrain}
STUDENTS: dict[str, type[Distil]] = {"protein": ProteinDistil, "lidar": Distil}


def pretrain(name: str) -> Pretrain:
    own = {"lengths": LENGTHS, "residues_per_batch": 100} if name == "protein" else {}
    given = {"network": TEACHERS[name], "fit": {"steps": 1}, **own}
    return PRETRAINS[name].model_validate(given)


# Settings without a default.
NEEDED: dict[str, dict[str, Any]] = {"sfd": {"forget": "1"}}


def section(field: str, kind: str, **settings: Any) -> Distil:
    own = {"lengths": LENGTHS, "fold": "C" if kind == "sfd" else None}
    return STUDENTS[field].model_validate(
        {
            "objective": {"kind": kind, **NEEDED.get(kind, {}), **settings},
            "roll_out": {
                **({"steps": 1, "times": [0.4]} if kind == "boot" else {"steps": 2}),
                "eta": 0.0 if kind in ("tdm", "flow_map", "boot") else 1.0,
            },
            "batch_size": 2,
            "validation_samples": 2,
            "fit": {"steps": 1, "log_every": 1},
            **(own if field == "protein" else {}),
        }
    )


@pytest.fixture(scope="module", params=field_names())
def domain(request: pytest.FixtureRequest) -> Field:
    found = load_field(request.param)
    if request.param == "lidar":
        return found.with_data(request.getfixturevalue("tiny_streets"))
    return found


@pytest.fixture(scope="module")
def made(domain: Field) -> nn.Module:
    return domain.new(pretrain(domain.name), seed=0)  # type: ignore[attr-defined]


@pytest.fixture
def teacher(made: nn.Module, domain: Field, tmp_path: Path) -> nn.Module:
    """A copy as a stage reads it: distillation freezes the one that it is given."""
    domain.save(made, tmp_path / "teacher")
    return domain.load(tmp_path / "teacher")
