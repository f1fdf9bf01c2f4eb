"""Contract: docs/how_to/adding.md does what it says; its blocks are run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake_run import BIN
from test_plane_field import PLANE, run

import domains.capabilities
from domains.distillation.objectives.registry import GROUP, objectives

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/how_to/adding.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Code blocks of the page, without the indentation of lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", PAGE, re.M | re.S)
    return [re.sub(rf"^{indent}", "", text, flags=re.M) for indent, text in found]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The objective of the page, installed as its second block says."""
    root = tmp_path / "package"
    about = root / "nearest-1.0.dist-info"
    about.mkdir(parents=True)
    (root / "nearest.py").write_text(blocks("python")[0], encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: nearest\nVersion: 1.0\n")
    group, entry = blocks("toml")[0].strip().splitlines()
    assert group == f'[project.entry-points."{GROUP}"]'
    points = entry.replace('"', "")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n")
    return root


def test_the_pages_objective_trains(package: Path, tmp_path: Path) -> None:
    pretrain = {"network": {"width": 8}, "fit": {"steps": 1}}
    students = {"s": {"objective": {"kind": "nearest", "scale": 2.0}, "fit": {"steps": 2}}}
    settings = run(pretrain=pretrain, students=students, sets={})
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings))
    path = os.pathsep.join(map(str, (package, PLANE, ROOT)))

    def fewstep(stage: str, output: str, *more: str) -> None:
        code = "from domains.cli import main; main()"
        command = [sys.executable, "-c", code, stage, "--config", "run.yaml", "--output", output]
        made = subprocess.run(
            [*command, "--state", f"{output}_state", *more],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert made.returncode == 0, made.stderr

    fewstep("pretrain", "teacher")
    fewstep("distill", "student", "--student", "s", "--teacher", "teacher")
    assert (tmp_path / "student/model.safetensors").exists()
    assert "student/distance" in (tmp_path / "student_state/log.csv").read_text()


def test_the_pages_run_is_valid(package: Path, tmp_path: Path) -> None:
    """Its settings are read, and its student is planned, where the package is installed."""
    (tmp_path / "try.yaml").write_text(blocks("yaml")[0])
    path = os.pathsep.join(map(str, (package, ROOT)))
    (target,) = re.findall(r"--configfile try.yaml (results/\S+)", PAGE)
    command = [BIN / "snakemake", "--snakefile", ROOT / "Snakefile", "--dry-run", target]
    command += ["--configfile", "try.yaml", "--cores", "1"]
    environment = os.environ | {"PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    made = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "distill" in made.stdout + made.stderr


def test_the_page_names_what_there_is() -> None:
    for kind in ("vsd", "consistency"):
        assert f"{kind}.py" in PAGE and kind in objectives()
    rows = re.findall(r"\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|", PAGE)
    assert len(rows) == 16
    for name, methods in rows:
        capability = getattr(domains.capabilities, name)
        assert all(hasattr(capability, method) for method in re.findall(r"`(\w+)`", methods))
    settings = (PLANE / "fewstep_plane/settings.py").read_text()
    assert blocks("python")[1].strip() in settings
    entry = blocks("toml")[1].strip().splitlines()[1].replace('"', "")
    assert entry in (PLANE / "fewstep_plane-1.0.dist-info/entry_points.txt").read_text()
