"""Contract: docs/how_to/adding.md does what it says; its blocks are run as they stand."""

import os
import re
from pathlib import Path

import pytest
from snakemake_run import shell
from test_plane_field import PLANE

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


def on_page(line: str, package: Path, place: Path) -> str:
    """What a command of the page says, where the package is installed."""
    return shell(line, place, os.pathsep.join(map(str, (package, ROOT))))


def test_the_pages_commands_train_its_objective(package: Path, tmp_path: Path) -> None:
    (tmp_path / "try.yaml").write_text(blocks("yaml")[0])
    (_, plan), commands = blocks("bash")[0].splitlines(), blocks("bash")[1]
    assert plan.startswith("snakemake ") and commands.count("fewstep ") == 2
    said = on_page(f"{plan} --snakefile {ROOT}/Snakefile --dry-run", package, tmp_path)
    assert "distill" in said
    on_page(f"set -e; {commands}", package, tmp_path)
    assert (tmp_path / "mine/model.safetensors").exists()
    assert "student/distance" in (tmp_path / "state/log.csv").read_text()


def test_the_page_names_what_there_is() -> None:
    for kind in ("vsd", "consistency"):
        assert f"{kind}.py" in PAGE and kind in objectives()
    rows = re.findall(r"\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|", PAGE)
    assert len(rows) == 17
    for name, methods in rows:
        capability = getattr(domains.capabilities, name)
        assert all(hasattr(capability, method) for method in re.findall(r"`(\w+)`", methods))
    settings = (PLANE / "fewstep_plane/settings.py").read_text()
    assert blocks("python")[1].strip() in settings
    entry = blocks("toml")[1].strip().splitlines()[1].replace('"', "")
    assert entry in (PLANE / "fewstep_plane-1.0.dist-info/entry_points.txt").read_text()
