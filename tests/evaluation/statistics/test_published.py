"""Contract: a paper's number stands beside a run of its protocol and teacher, and no other."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from evaluation.report_files import write_set
from tiny_run import deep_update

from domains.config import field_names, field_settings, parse_config, read_yaml
from domains.evaluation.report.build import build_report
from domains.evaluation.report.latex import latex_table
from domains.evaluation.statistics.published import read_published, rows_beside
from domains.evaluation.statistics.sets import published_sets, read_set

ROOT = Path(__file__).parents[3]
NETWORKS = {
    "protein": {"network": {"token_dim": 768, "use_tri_mult": False}},
    "lidar": {"network": {"width": 1.0, "partial_points": 18000, "copies": 10}},
}
RUNS = {"protein": "protein_sid", "lidar": "lidar_semantickitti"}
# The configuration samples a tenth of the sequence.
WHOLE = {"lidar": {"generate": {"scenes": 4071}, "evaluate": {"most": None}}, "protein": {}}


def rows(domain: str, tmp_path: Path, network: Any = None, **changes: Any) -> pd.DataFrame:
    """What may stand beside the paper's experiment, changed."""
    teacher = tmp_path / "teacher"
    teacher.mkdir(exist_ok=True)
    (teacher / "model.json").write_text(json.dumps({"config": network or NETWORKS[domain]}))
    content = read_yaml(ROOT / f"workflows/config/paper/{RUNS[domain]}.yaml")
    settings = parse_config(deep_update(deep_update(content, WHOLE[domain]), changes))
    known = read_published(ROOT / f"domains/{domain}/assets/published.yaml")
    return rows_beside(settings, known, teacher)


def test_the_papers_experiments_have_the_papers_rows(tmp_path: Path) -> None:
    protein, lidar = rows("protein", tmp_path), rows("lidar", tmp_path)
    assert protein[["steps", "metric", "value", "n"]].values.tolist() == [
        [16, "designability", 0.944, 500]
    ]
    steps = lidar[lidar["run"].str.startswith("Distillation-DPO") & (lidar.metric == "chamfer")]
    assert dict(zip(steps["steps"], steps["value"], strict=True)) == {
        8: 0.354,
        4: 0.429,
        2: 0.475,
        1: 0.645,
    }
    for table in (protein, lidar):
        assert table["source"].str.contains("arXiv:").all()
        assert table["tool"].str.endswith("as published").all()


OTHERS = [
    ("protein", {"generate": {"per_length": 20}}),
    ("protein", {"generate": {"lengths": [50, 100]}}),
    ("protein", {"generate": {"fold": ["1"]}}),
    ("protein", {"evaluate": {"folding_model": None}}),
    ("protein", {"evaluate": {"folding_model": "elsewhere/esmfold"}}),
    ("protein", {"evaluate": {"folding_program": "openfold3", "folding_model": "w.pt"}}),
    ("protein", {"evaluate": {"most": 100}}),
    ("protein", {"teacher": "proteina-small"}),
    ("protein", {"teacher": "proteina_v1.1_DFS_200M_tri.ckpt"}),
    ("lidar", {"generate": {"scenes": 400}}),
    ("lidar", {"evaluate": {"most": 1000}}),
    ("lidar", {"teacher": "lidiff-mini"}),
    ("lidar", {"data": {"path": None, "simulate": {"held_out": 1}}}),
]


@pytest.mark.parametrize(("domain", "changes"), OTHERS, ids=str)
def test_another_protocol_or_teacher_has_none(
    domain: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    assert rows(domain, tmp_path, **changes).empty


def test_another_network_under_the_name_has_none(tmp_path: Path) -> None:
    assert rows("protein", tmp_path, {"network": {"token_dim": 512, "use_tri_mult": False}}).empty
    assert rows("lidar", tmp_path, {"network": {"width": 0.25, "partial_points": 18000}}).empty
    settings = parse_config(read_yaml(ROOT / "workflows/config/paper/protein_sid.yaml"))
    known = read_published(ROOT / "domains/protein/assets/published.yaml")
    assert rows_beside(settings, known, None).empty
    assert rows_beside(settings, known, tmp_path / "nothing").empty


@pytest.mark.parametrize("domain", field_names())
def test_papers_speak_of_our_metrics(domain: str) -> None:
    known = field_settings(domain).load_metrics()
    path = ROOT / f"domains/{domain}/assets/published.yaml"
    named = {key for entry in read_published(path) for one in entry.numbers for key in one.values}
    assert named and named <= set(known)


def test_a_domain_without_papers_has_none() -> None:
    assert read_published(None) == []


def test_report_and_latex_show_the_citation(tmp_path: Path) -> None:
    papers, metrics = rows("protein", tmp_path), field_settings("protein").load_metrics()
    ours = write_set(tmp_path, "s", "student")
    build_report([ours], tmp_path / "r.html", title="T", published=papers, metrics=metrics)
    latex = latex_table([read_set(ours), *published_sets(papers)], metrics, "T")
    for text in ((tmp_path / "r.html").read_text(), latex):
        assert "arXiv:2510.03095" in text and "0.944" in text
