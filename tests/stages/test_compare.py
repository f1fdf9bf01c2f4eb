"""Contract: the comparison says what each cell is, costs and can't do; what lacks is named.

The evaluated sets and the logs are made up, so that every number on the page is known.
"""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny_matrix import matrix_content

from domains.config import MatrixConfig, cells, parse_matrix, runs
from domains.errors import FewstepError
from domains.evaluation.matrix.results import MATRIX
from domains.evaluation.report.axis import format_number
from domains.evaluation.statistics.seeds import over_seeds
from domains.evaluation.statistics.table import read_table
from domains.stages.compare import compare

CHANGES = {
    "title": "<b>Grid</b>",
    "seeds": [0, 1],
    "steps": [2, 4],
    "objectives": {"sim": {"objective": {"kind": "sim"}}},
    "sensitivity": {"vsd_2": {"objective": "vsd", "changes": {"fake_updates": 2}}},
}
# Chamfer distances, or Fréchet distances, by objective and seed.
VALUES = {("vsd", 0): 1.0, ("vsd", 1): 3.0, ("sim", 0): 4.0, ("sim", 1): 4.0, None: 9.0}
MEASURES = {"protein": ["descriptor_frechet", "cluster_share"], "lidar": ["chamfer", "iou_0.5"]}


def write_set(path: Path, role: str, steps: int, values: dict[str, float]) -> None:
    path.mkdir(parents=True)
    facts = {"role": role, "label": path.name, "steps": steps, "noise_scale": 1.0}
    (path / "set.json").write_text(json.dumps(facts))
    rows = [
        {"run": "r", "domain": "d", "role": role, "steps": steps, "noise_scale": 1.0, "metric": k}
        | {"value": v, "low": v - 0.5, "high": v + 0.5, "n": 8, "seeds": "0", "tool": ""}
        for k, v in values.items()
    ]
    pd.DataFrame(rows).to_csv(path / "set.csv", index=False)


def write_training(run: Path, name: str) -> None:
    """Quality .5 after 50 network calls, 1 after 100; 60 s, 700 MiB."""
    (run / "state" / name).mkdir(parents=True)
    (run / "benchmarks").mkdir(exist_ok=True)
    log = "step,network_calls,validation/quality\n1,25,\n2,50,0.5\n3,75,\n4,100,1\n"
    (run / "state" / name / "log.csv").write_text(log)
    job = {"s": 60.0, "max_rss": 700.0}
    (run / f"benchmarks/distill_{name}.jsonl").write_text(json.dumps(job) + "\n")


def write_results(root: Path) -> MatrixConfig:
    """A whole matrix, but for one set of LiDAR."""
    content = matrix_content(**CHANGES)
    for domain, names in MEASURES.items():
        content["domains"][domain]["measures"] = names
    (root / "matrix.yaml").write_text(yaml.safe_dump(content))
    matrix = parse_matrix(content)
    for domain, run in runs(matrix).items():
        known = {cell.name: cell for cell in cells(matrix, domain)}
        for name, one in run.sets.items():
            if (domain, name) == ("lidar", "sim_k4_s1"):
                continue
            cell = known.get(name)
            value = VALUES[(cell.objective, cell.seed) if cell else None]
            first, second = MEASURES[domain]
            path, steps = root / run.name / "evaluation" / name, one.sampler.steps
            write_set(path, one.role, steps, {first: value, second: 0.5})
            if cell:
                write_training(root / run.name, name)
    return matrix


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the comparison of a made-up matrix."""
    root = tmp_path_factory.mktemp("matrix")
    write_results(root)
    compare(root / "matrix.yaml", root, root / "out/matrix.html", root / "out/matrix.csv")
    return root


def test_table_is_tidy(made: Path) -> None:
    table = read_table(made / "out/matrix.csv", MATRIX)
    one = table[(table["domain"] == "protein") & (table["set"] == "vsd_k4_s1")]
    assert set(one["objective"]) == {"vsd"} and set(one["seed"]) == {1}
    assert set(one["budget"]) == {100} and set(one["steps"]) == {4}
    values = dict(zip(one["metric"], one["value"], strict=True))
    assert values == {
        "descriptor_frechet": 3.0,
        "cluster_share": 0.5,
        "training_network_calls": 100,
        "training_seconds": 60,
        "training_peak_mib": 700,
        "validation_quality": 1.0,
        "calls_to_quality": 100,
    }
    varied = table[table["variation"] == "vsd_2"]
    assert set(varied["objective"]) == {"vsd"} and set(varied["seed"]) == {0}
    free = table[table["set"].isin(["data", "teacher_k4"])]
    assert set(free["objective"]) == {""} and free["seed"].isna().all()
    assert not table.duplicated(["domain", "set", "metric"]).any()


def test_page_has_means_and_intervals_over_seeds(made: Path) -> None:
    page = " ".join((made / "out/matrix.html").read_text().split())
    grid = page[page.index("by objective and steps") :]
    row = grid[grid.index('<th scope="row">vsd</th>') :].partition("</tr>")[0]
    _, low, high = over_seeds(np.array([[1, 0.5, 1.5], [3, 2.5, 3.5]]))
    interval = f"{format_number(low)} to {format_number(high)}"
    # The best mean of its column.
    assert row.count("2</span>") == row.count(interval) == row.count("mark") == 2
    assert "teacher re-noised" in grid and "&lt;b&gt;Grid" in page and "<b>Grid" not in page
    assert page.count("<svg") > 10 and not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_page_says_what_lacks_and_what_cannot_be(made: Path) -> None:
    page = (made / "out/matrix.html").read_text()
    assert page.count("it aligns a teacher") == 2  # in each field
    assert "Not there yet: 1 sets" in page and "sim_k4_s1" in page


def test_training_without_benchmark_has_no_time(made: Path, tmp_path: Path) -> None:
    (made / "grid_protein/benchmarks/distill_vsd_k4_s1.jsonl").unlink()
    compare(made / "matrix.yaml", made, tmp_path / "p.html", tmp_path / "t.csv")
    table = read_table(tmp_path / "t.csv", MATRIX)
    chosen = (table["set"] == "vsd_k4_s1") & (table["metric"] == "training_seconds")
    found = dict(zip(table["domain"][chosen], table["value"][chosen], strict=True))
    assert math.isnan(found["protein"]) and found["lidar"] == 60


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("grid_protein/state/vsd_k2_s0/log.csv", "step\n1\n", "network_calls"),
        ("grid_protein/state/vsd_k2_s0/log.csv", "", "can't read the training log"),
        ("grid_protein/benchmarks/distill_vsd_k2_s0.jsonl", "{", "none of Snakemake's"),
        ("grid_protein/evaluation/vsd_k2_s0/set.json", "[]", "has a wrong form"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, file: str, text: str, said: str) -> None:
    write_results(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(FewstepError, match=said) as error:
        compare(tmp_path / "matrix.yaml", tmp_path, tmp_path / "p.html", tmp_path / "t.csv")
    assert len(str(error.value).splitlines()) == 1


def test_a_measure_that_nobody_took_is_one_line(tmp_path: Path) -> None:
    write_results(tmp_path)
    settings = yaml.safe_load((tmp_path / "matrix.yaml").read_text())
    settings["domains"]["lidar"]["measures"] = ["beauty"]
    (tmp_path / "matrix.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(FewstepError, match="nothing was measured as 'beauty'"):
        compare(tmp_path / "matrix.yaml", tmp_path, tmp_path / "p.html", tmp_path / "t.csv")


def test_nothing_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "matrix.yaml").write_text(yaml.safe_dump(matrix_content()))
    with pytest.raises(FewstepError, match="nothing of the matrix grid"):
        compare(tmp_path / "matrix.yaml", tmp_path, tmp_path / "p.html", tmp_path / "t.csv")
