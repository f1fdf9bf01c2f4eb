"""Contract: a weaker model reaches the sampler and the teacher of a student, and is counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_run import save_teacher, write_config

from domains.errors import FewstepError
from domains.field import load_field
from domains.files.model_files import read_model
from domains.stages.distill import distill
from domains.stages.generate import generate

CLOSE = 3e-4
# An untrained network hardly minds its class: a large weight shows it.
WEIGHT = 11.0
GUIDED = {"guidance": WEIGHT, "autoguidance": 0.5}
SAMPLERS: dict[str, dict[str, Any]] = {
    "renoise": {"kind": "renoise", "steps": 2},
    "ode": {"kind": "ode", "steps": 2},
    "sde": {"kind": "sde", "steps": 2},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a teacher and two models that could be weaker."""
    root = tmp_path_factory.mktemp("run")
    for seed, name in enumerate(("teacher", "weaker", "other")):
        save_teacher(root / name, seed)
    return root


def sampled(root: Path, output: Path, weaker: str | None, **sampler: Any) -> dict[int, np.ndarray]:
    """Sample two chains, asked for a class; check what was counted."""
    sets = {"guided": {"model": "teacher", "sampler": sampler}}
    config = write_config(
        output.parent / "run.yaml", sets=sets, generate={"fold": ["1"]}, weaker="weaker"
    )
    generate(config, "guided", 0, output, root / "teacher", root / weaker if weaker else None)
    index = pd.read_csv(output / "index.csv")
    share, guided = sampler.get("autoguidance", 0.0), sampler.get("guidance", 1.0) != 1
    calls = sampler["steps"] * (1 + guided * ((share > 0) + (share < 1)))
    assert (index["network_calls"] == calls).all()
    read = load_field("protein").read
    return {row.sample: read(output / row.file).points.numpy() for row in index.itertuples()}


@pytest.mark.parametrize("kind", SAMPLERS)
def test_each_kind_of_guidance_moves_the_samples(root: Path, tmp_path: Path, kind: str) -> None:
    ways = {
        "plain": (None, {}),
        "free": (None, {"guidance": WEIGHT}),
        "auto": ("weaker", {"guidance": WEIGHT, "autoguidance": 1.0}),
        "mixed": ("weaker", GUIDED),
        "other": ("other", GUIDED),
        "itself": ("teacher", {"guidance": 2.0, "autoguidance": 1.0}),
    }
    found = {
        name: sampled(root, tmp_path / name, weaker, **SAMPLERS[kind], **how)[0]
        for name, (weaker, how) in ways.items()
    }
    # A model is not guided away from itself; files hold 0.0001 nm.
    assert np.allclose(found["plain"], found.pop("itself"), rtol=0, atol=CLOSE)
    for name, one in found.items():
        for other in found.keys() - {name}:
            assert np.abs(one - found[other]).max() > 3 * CLOSE, (name, other)


def trained(root: Path, state: Path, weaker: str | None, **settings: Any) -> dict[str, Any]:
    """Train a student for a step and return its model.json."""
    fit = {"steps": 1, "validate_every": 0}
    config = write_config(
        state.parent / "run.yaml", students={"student": {"fit": fit, **settings}}, weaker="weaker"
    )
    given = root / weaker if weaker else None
    distill(config, "student", root / "teacher", state, state / "student", weaker=given)
    weights, described = read_model(state / "student")
    return {"weights": weights, **described["provenance"]}


def test_a_student_learns_from_the_guided_teacher(root: Path, tmp_path: Path) -> None:
    settings = {"teacher_guidance": 2.0, "teacher_autoguidance": 1.0}
    plain = trained(root, tmp_path / "plain", None)
    one, other = (trained(root, tmp_path / name, name, **settings) for name in ("weaker", "other"))
    assert "weaker_sha256" not in plain
    assert one["weaker_sha256"] != other["weaker_sha256"]
    # The gradient's direction is another: with Adam, so is the first step.
    assert any((one["weights"][k] != other["weights"][k]).any() for k in one["weights"])
    assert any((one["weights"][k] != plain["weights"][k]).any() for k in one["weights"])


def test_a_missing_or_unfit_weaker_model_is_one_line(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match=r"needs a weaker model.*--weaker"):
        sampled(root, tmp_path / "a", None, **SAMPLERS["ode"], **GUIDED)
    features = ["x_sc", "motif_sequence_mask", "motif_x1"]
    pairs = ["rel_seq_sep", "motif_structure_mask", "motif_x1_pair_dists"]
    save_teacher(tmp_path / "motif", feats_init_seq=features, feats_pair_repr=pairs)
    with pytest.raises(FewstepError, match="another noise process"):
        sampled(root, tmp_path / "b", str(tmp_path / "motif"), **SAMPLERS["ode"], **GUIDED)
