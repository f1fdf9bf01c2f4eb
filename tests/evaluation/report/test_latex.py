"""Contract: the LaTeX table holds the numbers of the sets, and no text of a user is a command."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from evaluation.report_files import METRICS, write_set

from domains.evaluation.report.axis import format_number
from domains.evaluation.report.latex import escape, latex_table
from domains.evaluation.statistics.sets import EvaluationSet, read_set

HOSTILE = r"50 % of \input{/etc/passwd} & #1_$x$ {~^} γ <α>"


@pytest.fixture
def sets(tmp_path: Path) -> list[EvaluationSet]:
    return [
        read_set(write_set(tmp_path, "t", "teacher", 0.9, steps=400, label="Teacher, γ = 0.45")),
        read_set(write_set(tmp_path, "s", "student", 0.8, label=HOSTILE)),
    ]


def test_every_number_is_there(sets: list[EvaluationSet]) -> None:
    text = latex_table(sets, METRICS, "A run")
    for one in sets:
        for key in ("good", "far"):
            value, low, high = map(format_number, one.estimate(key))
            assert value in text and f"[{low}, {high}]" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len({line.count(" & ") for line in rows}) == 1, rows
    assert "seeds 0, 1" in text and "n = 20" in text and r"Goodness $\uparrow$" in text


def test_small_negative_and_infinite_numbers_are_set_in_mathematics(
    sets: list[EvaluationSet],
) -> None:
    good = sets[0].metrics["metric"] == "good"
    sets[0].metrics.loc[good, ["value", "low", "high"]] = [3e-4, -2.0, float("inf")]
    text = latex_table(sets[:1], METRICS, "A run")
    assert "$-$" in text and text.isascii(), text


def test_text_is_no_command(sets: list[EvaluationSet]) -> None:
    text = latex_table(sets, METRICS, HOSTILE)
    assert r"\input" not in text and r"\textbackslash{}input" in text
    bare = re.sub(r"\\[&%$#_{}]|\$\\?[a-z<>]+\$", "", escape(HOSTILE))
    assert not set("&%#_^~") & set(bare.replace(r"\textasciitilde{}", "").replace(
        r"\textasciicircum{}", ""))  # fmt: skip


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX is installed")
def test_latex_takes_it(sets: list[EvaluationSet], tmp_path: Path) -> None:
    body = latex_table(sets, METRICS, HOSTILE)
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "a.tex").write_text(f"{head}\n{body}\\end{{document}}\n")
    done = subprocess.run(["pdflatex", "-halt-on-error", "a.tex"], cwd=tmp_path, check=False)
    assert done.returncode == 0
