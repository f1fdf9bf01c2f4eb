"""Contract: a matrix is one DAG: a run for each field, resumed as any, and their comparison.

The real run takes two minutes: seventeen small jobs, each of which loads torch.
"""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from snakemake_run import planned, settings_file, snakemake
from tiny_matrix import matrix_content
from tiny_run import LIDAR_NETWORK, save_teacher

from domains.field import load_field
from domains.lidar.settings import LidarPretrain


def save_teachers(directory: Path) -> None:
    save_teacher(directory / "protein_teacher")
    lidar, fit = load_field("lidar"), {"steps": 1}
    config = LidarPretrain.model_validate({"network": LIDAR_NETWORK, "fit": fit})
    lidar.save(lidar.new(config, 0), directory / "lidar_teacher", made_by="tests")


def write(path: Path, **changes) -> Path:
    path.write_text(yaml.safe_dump(matrix_content(**changes)))
    return path


def test_examples_plan(tmp_path: Path) -> None:
    jobs = planned(tmp_path, [settings_file("matrix"), settings_file("matrix_small")])
    assert jobs["compare"] == jobs["fetch"] == jobs["lidar_simulate"] == 1
    assert jobs["protein_distill"] == 19 and jobs["lidar_distill"] == 17
    assert jobs["protein_generate"] == jobs["protein_evaluate"] == 19 + 4


def test_a_wrong_cell_is_one_line(tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", objectives={"vsd": {"objective": {"kind": "gan"}}})
    result = snakemake(tmp_path, config, "--dry-run")
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "Traceback" not in said
    assert "objectives.vsd, as lidar has it" in said


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, open3d: None) -> Path:
    """A directory in which the tiny matrix has run."""
    directory = tmp_path_factory.mktemp("matrix")
    save_teachers(directory)
    result = snakemake(directory, write(directory / "c.yaml"))
    assert result.returncode == 0, result.stdout + result.stderr
    return directory


def test_both_fields_are_compared(done: Path) -> None:
    table = pd.read_csv(done / "results/grid/matrix.csv")
    trained = table[table["objective"] == "vsd"]
    assert set(trained["domain"]) == {"protein", "lidar"}
    spent = trained[trained["metric"] == "training_network_calls"]
    assert (spent["value"] >= spent["budget"]).all() and set(spent["budget"]) == {100, 40}
    page = (done / "results/grid/matrix.html").read_text()
    assert page.count("it aligns a teacher") == 2


def test_second_run_has_nothing_to_do(done: Path) -> None:
    assert planned(done, done / "c.yaml") == {}


def test_another_budget_trains_again_and_a_title_does_not(done: Path, tmp_path: Path) -> None:
    assert planned(done, write(tmp_path / "t.yaml", title="x")) == {"compare": 1}
    jobs = planned(done, done / "c.yaml", "--config", "budget=2")
    again = dict.fromkeys(("distill", "generate", "merge", "evaluate"), 1)
    fields = {f"{domain}_{rule}": 1 for domain in ("protein", "lidar") for rule in again}
    assert jobs == fields | {"compare": 1}


def test_a_field_can_be_run_alone(done: Path, tmp_path: Path) -> None:
    """Where the other's packages or data are missing."""
    shutil.copytree(done, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/results/grid_protein")
    shutil.rmtree(tmp_path / "run/lidar_teacher")
    jobs = planned(tmp_path / "run", done / "c.yaml", "results/grid_protein/results.csv")
    assert jobs["protein_report"] == 1 and not [name for name in jobs if "lidar" in name]
