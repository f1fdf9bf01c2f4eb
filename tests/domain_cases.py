"""Domains under test: a tiny teacher of each, as fixtures, and settings of a student."""

from pathlib import Path
from typing import Any

import pytest
from tiny_run import LIDAR_NETWORK, NETWORK
from torch import nn

from domains.config import Distil, Generate, Pretrain
from domains.domain import DOMAINS, Domain, load_domain

# A teacher of thousands of weights, and what is sampled, for each domain.
TEACHERS: dict[str, dict[str, Any]] = {"protein": NETWORK, "lidar": LIDAR_NETWORK}
PLANS = {"protein": Generate(lengths=(40, 44)), "lidar": Generate(scenes=2)}


def pretrain(name: str) -> Pretrain:
    lengths: Any = {"low": 40, "high": 44}
    fit: Any = {"steps": 1}
    return Pretrain(network=TEACHERS[name], lengths=lengths, residues_per_batch=100, fit=fit)


# Settings without a default.
NEEDED: dict[str, dict[str, Any]] = {"sfd": {"forget": "1"}}


def section(kind: str, **settings: Any) -> Distil:
    return Distil.model_validate(
        {
            "objective": {"kind": kind, **NEEDED.get(kind, {}), **settings},
            "fold": "C" if kind == "sfd" else None,
            "roll_out": {"steps": 2, "deterministic": kind in ("tdm", "flow_map")},
            "lengths": {"low": 40, "high": 44},
            "batch_size": 2,
            "validation_samples": 2,
            "fit": {"steps": 1, "log_every": 1},
        }
    )


@pytest.fixture(scope="module", params=DOMAINS)
def domain(request: pytest.FixtureRequest) -> Domain:
    found = load_domain(request.param)
    if request.param == "lidar":
        return found.with_data(request.getfixturevalue("tiny_streets"))
    return found


@pytest.fixture(scope="module")
def made(domain: Domain) -> nn.Module:
    return domain.new(pretrain(domain.name), seed=0)


@pytest.fixture
def teacher(made: nn.Module, domain: Domain, tmp_path: Path) -> nn.Module:
    """A copy as a stage reads it: distillation freezes the one that it is given."""
    domain.save(made, tmp_path / "teacher")
    return domain.load(tmp_path / "teacher")
