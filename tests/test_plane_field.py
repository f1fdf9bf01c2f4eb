"""Contract: a field and an objective of another package work, and no line of fewstep changes.

The package is ``tests/plane``: its entry points are all that fewstep knows of it. Its densities are
known, so objectives are held to the truth here.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from distillation.make import make
from snakemake_run import snakemake

from domains.batch import Batch
from domains.distillation.noise import KeyedNoise, generator
from domains.distillation.objectives.flow_map import FlowMap
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.vsd import VSD
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.rescale import Rescale, Rescaled
from domains.distillation.sampling.sampler import integrate, last, renoise
from domains.distillation.sampling.schedule import sampling_times
from domains.distillation.times import Times

PLANE = Path(__file__).parent / "plane"
FOUR = {"kind": "renoise", "steps": 4, "eta": 0, "noise_scale": 1}


def run(**changes: Any) -> dict[str, Any]:
    """Settings of a run, from a teacher that is trained to a report."""
    fast = {"rate": 0.003, "schedule": "cosine", "floor": 1e-5}
    return {
        "name": "points",
        "domain": "plane",
        "teacher": "pretrain",
        "pretrain": {
            "network": {"width": 48},
            "optimiser": fast,
            "fit": {"steps": 400, "ema": 0.98, "log_every": 100},
        },
        "students": {
            "student": {
                "objective": {"kind": "flow_map", "substeps": 4},
                "roll_out": {"steps": 4, "eta": 0},
                "student": fast,
                "validation_noise_scale": 1,
                "batch_size": 32,
                "fit": {"steps": 60, "ema": 0.9, "log_every": 20},
            },
            "pulled": {"objective": {"kind": "pull", "to": 0.5}, "fit": {"steps": 2}},
        },
        "generate": {"clouds": 6, "points": 128, "shard_size": 3},
        "sets": {
            "truth": {"model": "data"},
            "origin": {"model": "decoys"},
            "student_4": {"model": "student", "sampler": FOUR},
        },
        **changes,
    }


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other package is on the path of every process."""
    path = os.pathsep.join([str(PLANE), str(Path(__file__).parents[1])])
    monkeypatch.setenv("PYTHONPATH", path)


def test_another_packages_field_runs_to_its_report(tmp_path: Path, installed: None) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(run()))
    result = snakemake(tmp_path, config)
    assert result.returncode == 0, result.stdout + result.stderr
    out = tmp_path / "results/points"
    assert (out / "report.html").stat().st_size > 10_000
    table = pd.read_csv(out / "results.csv")
    rows = table[table["metric"] == "wasserstein"].set_index("run")["value"]
    floor, ceiling = rows["points/origin"], rows["points/truth"]
    # The student is far from nothing at all, and near to what as many true points have.
    assert ceiling < rows["points/student_4"] < ceiling + 0.25 * (floor - ceiling)


def test_another_packages_objective_trains_by_command(tmp_path: Path, installed: None) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(run(pretrain={"network": {"width": 8}, "fit": {"steps": 1}})))

    def fewstep(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from domains.cli import main; main()", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    where = ["--config", "run.yaml", "--state", "state", "--output"]
    made = fewstep("pretrain", *where, "teacher")
    assert made.returncode == 0, made.stderr
    where[3] = "state_of_student"
    made = fewstep("distill", *where, "student", "--student", "pulled", "--teacher", "teacher")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "student/model.safetensors").exists()
    assert "student/square" in (tmp_path / "state_of_student/log.csv").read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"domain": "weather"}, "no such field: expected protein or lidar or plane, got 'weather'"),
        ({"students": {"s": {"objective": {"kind": "push"}, "fit": {"steps": 1}}}}, "'pull'"),
        ({"generate": {"clouds": 0}}, "generate.clouds"),
        ({"generate": {"clouds": 1, "scenes": 1}}, "generate.scenes"),
    ],
)
def test_wrong_settings_of_it_are_one_line(
    tmp_path: Path, installed: None, changes: dict[str, Any], said: str
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(run(**changes)))
    result = snakemake(tmp_path, config, "--dry-run")
    assert result.returncode != 0 and said in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


# Objectives against the truth: the exact teacher, and a student that can be anything near it.

sys.path.append(str(PLANE))
from fewstep_plane.exact import Exact  # noqa: E402
from fewstep_plane.field import PlaneDenoiser  # noqa: E402
from fewstep_plane.mixture import MEANS, STD, WEIGHTS, PlaneFlow  # noqa: E402

PROCESS, CLOUD = PlaneFlow(), Batch(torch.ones(1, 4000, dtype=torch.bool))
TIMES = Times(kind="uniform", low=0.02, high=0.98)


def modes(points: torch.Tensor) -> tuple[float, float]:
    """Weight of the first mode, and the standard deviation within both."""
    nearest = torch.cdist(points[0], MEANS).argmin(-1)
    within = (points[0] - MEANS[nearest])[:, :2]
    return float((nearest == 0).float().mean()), float(within.square().mean().sqrt())


def test_the_exact_teachers_ode_has_the_mixture() -> None:
    noise = KeyedNoise(generator("ode"))
    weight, std = modes(last(integrate(Exact(), PROCESS, CLOUD, sampling_times("log", 100), noise)))
    assert weight == pytest.approx(float(WEIGHTS[0]), abs=0.03)
    assert std == pytest.approx(STD, rel=0.05)


@pytest.mark.parametrize("k", [2.0, 5.0])
def test_a_rescaled_score_sharpens_modes_and_keeps_weights(k: float) -> None:
    noise, cold = KeyedNoise(generator("cold")), Rescale(sharpness=k, spread=STD)
    times = sampling_times("log", 100)
    made = modes(last(integrate(Exact(), PROCESS, CLOUD, times, noise, rescale=cold)))
    assert made[0] == pytest.approx(float(WEIGHTS[0]), abs=0.03)
    assert made[1] == pytest.approx(STD / k**0.5, rel=0.08)


def test_few_noisy_steps_move_weight_where_the_cold_ode_does_not() -> None:
    """Why noise scales below 1 are no cold teacher: mass moves to the larger mode."""
    times, noise = PROCESS.times(16), KeyedNoise(generator("few"))
    noisy = modes(last(renoise(Exact(), PROCESS, CLOUD, times, noise, 0.45)))
    cold = Rescale(sharpness=5.0, spread=STD)
    still = modes(last(renoise(Exact(), PROCESS, CLOUD, times, noise, eta=0.0, rescale=cold)))
    assert noisy[0] > float(WEIGHTS[0]) + 0.1
    assert abs(still[0] - float(WEIGHTS[0])) < abs(noisy[0] - float(WEIGHTS[0])) / 2


def train(objective: Objective, roles: Roles, batch: Batch, steps: int) -> None:
    """Update student and fake scores in turn."""
    networks: dict[str, Any] = {"student": roles.student, **roles.fakes}
    optimisers = {k: torch.optim.Adam(one.parameters(), 0.003) for k, one in networks.items()}
    for step in range(steps):
        for name, optimiser in reversed(optimisers.items()):
            draws = Draws((step, name))
            now = replace(roles, step=step, progress=step / steps)
            if name == "student":
                loss = objective.student_loss(now, batch, draws).value
            else:
                loss = objective.fake_score_loss(name, now, batch, draws).value
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def trained(
    objective: Objective, roll_out: RollOut, teacher: object, steps: int
) -> tuple[float, float]:
    """Modes of what a student samples after so many steps (see ``modes``)."""
    torch.manual_seed(0)
    student = PlaneDenoiser(48)
    fakes = {name: PlaneDenoiser(48) for name in objective.fake_scores}
    roles = Roles(PROCESS, student, teacher, fakes, roll_out)  # type: ignore[arg-type]
    train(objective, roles, Batch(torch.ones(16, 64, dtype=torch.bool)), steps)
    steps_made = roll_out.steps(student, PROCESS, CLOUD, Draws(("sampled",)))
    with torch.no_grad():
        return modes(last(steps_made))


def test_a_flow_map_learns_the_cold_ode() -> None:
    roll_out, cold = RollOut(PROCESS.times(4), eta=0.0), Rescale(sharpness=3.0, spread=STD)
    teacher = Rescaled(Exact(), PROCESS, cold)
    objective = make(FlowMap, substeps=8, huber=0.01)
    found, _ = trained(objective, roll_out, teacher, 400)
    # Not the mixture's own .7: the map starts from noise at the first time of the roll-out.
    noise = KeyedNoise(generator("sampled", "roll-out"))
    fine = torch.cat([torch.linspace(*roll_out.times[k : k + 2], 9)[:-1] for k in range(3)])
    grid = torch.cat([fine, roll_out.times[-1:]])
    played = renoise(Exact(), PROCESS, CLOUD, grid, noise, eta=0.0, rescale=cold)
    assert found == pytest.approx(modes(last(played))[0], abs=0.05)


@pytest.mark.parametrize("objective", [VSD, SiD])
def test_score_distillation_finds_both_modes(objective: type[Objective]) -> None:
    roll_out = RollOut(PROCESS.times(2))
    found, _ = trained(make(objective, times=TIMES, scale=1.0), roll_out, Exact(), 300)
    assert 0.4 < found < 0.95
