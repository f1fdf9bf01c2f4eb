"""Contract: another workflow can use this one as a module; Snakemake's own report holds ours."""

import os
import re
import subprocess
from pathlib import Path
from zipfile import ZipFile

import yaml
from markdown_pages import ROOT
from snakemake_run import BIN
from tiny_run import content

PAGE = (ROOT / "docs/how_to/module.md").read_text(encoding="utf-8")
(SNAKEFILE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


def run(directory: Path, *options: str) -> str:
    """Start the outer workflow, as a user does."""
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(directory / "cache"),
    }
    command = [BIN / "snakemake", "--cores", "1", "--nocolor", *options]
    made = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=600
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout + made.stderr


def test_a_module_of_another_workflow(tmp_path: Path) -> None:
    settings = content(teacher="proteina-small")
    settings |= {"students": {}, "sets": {"data": {"model": "data"}}}
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("/path/to/fewstep", str(ROOT)))
    run(tmp_path)
    assert int((tmp_path / "count.txt").read_text()) > 5
    assert "Nothing to be done" in run(tmp_path)
    run(tmp_path, "--report", "all.zip")
    names = "\n".join(ZipFile(tmp_path / "all.zip").namelist())
    assert "report.html" in names and "results.csv" in names
