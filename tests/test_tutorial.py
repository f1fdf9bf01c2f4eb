"""Contract: the tutorial's run goes through, and a changed file makes anew what the page says.

The page's own YAML, with one update and one short chain a set.
"""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from markdown_pages import ROOT
from snakemake_run import planned, snakemake
from tiny_run import deep_update

PAGE = (ROOT / "docs/tutorial/first_student.md").read_text(encoding="utf-8")
RUN, SET = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
(CODE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
BRIEF = {"batch_size": 1, "validation_samples": 1}
SHORT = {
    "students": {"student": {**BRIEF, "fit": {"steps": 1}}},
    "generate": {"lengths": [50], "per_length": 1},
}


def test_the_run_and_its_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = deep_update(yaml.safe_load(RUN), SHORT)
    path = tmp_path / "first.yaml"
    path.write_text(yaml.safe_dump(settings))
    jobs = planned(tmp_path, path)
    assert sum(jobs.values()) == 13 and "Fourteen jobs" in PAGE  # with `all`
    made = snakemake(tmp_path, path)
    assert made.returncode == 0, made.stdout + made.stderr
    assert (tmp_path / "results/first/report.html").is_file()

    shown: list[pd.DataFrame] = []
    monkeypatch.chdir(tmp_path)
    exec(CODE, {"print": shown.append})
    assert list(shown[0].columns) == re.findall(r"first/\w+", PAGE[PAGE.index("| metric |") :])[:3]
    assert list(shown[0].index) == ["bond_fraction", "clashes", "helix", "strand"]

    settings["sets"] |= yaml.safe_load(SET)
    path.write_text(yaml.safe_dump(settings))
    assert planned(tmp_path, path) == {"generate": 1, "merge": 1, "evaluate": 1, "report": 1}

    settings["sets"].pop("naive_16")
    settings["students"]["student"]["fit"]["steps"] = 2
    path.write_text(yaml.safe_dump(settings))
    again = {"distill": 1, "generate": 1, "merge": 1, "evaluate": 1, "report": 1}
    assert planned(tmp_path, path) == again
