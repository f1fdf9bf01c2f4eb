"""Contract: a wrong key is named with the one that may have been meant; nothing heavy is loaded."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake_run import settings_file
from tiny_matrix import matrix_content
from tiny_run import content, deep_update

from domains import cli
from domains.config import parse_config, parse_matrix, read_yaml
from domains.errors import FewstepError

DEMO = read_yaml(settings_file("protein_demo"))
CONFIGURED = [s for s in cli.STAGES if "config" in inspect.signature(s).parameters]


@pytest.mark.parametrize(
    ("changes", "place", "meant"),
    [
        ({"studnets": {}}, "studnets", "students"),
        ({"generate": {"per_lenght": 3}}, "generate.per_lenght", "per_length"),
        ({"students": {"student": {"fit": {"step": 1}}}}, "students.student.fit.step", "steps"),
        ({"students": {"student": {"objective": {"substep": 3}}}}, "flow_map.substep", "substeps"),
        ({"sets": {"cold_40": {"sampler": {"noise": 1}}}}, "renoise.noise", "noise_scale"),
        ({"batch_points": 5}, "batch_points", "generate.batch_points"),
        ({"sets": {"data": {"per_length": 2}}}, "sets.data.per_length", "generate.per_length"),
        ({"substeps": 2}, "substeps", "students.NAME.objective.substeps"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_misspelt_key(changes: dict[str, Any], place: str, meant: str) -> None:
    with pytest.raises(FewstepError) as error:
        parse_config(deep_update(DEMO, changes), "run.yaml")
    line = str(error.value)
    assert line.startswith("run.yaml, ") and f"{place}: unknown key." in line
    assert line.endswith(f" Did you mean {meant}?")


@pytest.mark.parametrize("key", ["zzzzzz", "x" * 900, 3])
def test_a_key_that_is_like_none(key: str | int) -> None:
    with pytest.raises(
        FewstepError, match=r"unknown key. See docs/reference|Keys should be strings"
    ):
        parse_config({**DEMO, key: 1})


def test_what_is_misspelt_comes_before_what_is_missing() -> None:
    settings = {key: value for key, value in DEMO.items() if key != "generate"}
    with pytest.raises(FewstepError, match=r"generte: unknown key\. Did you mean generate"):
        parse_config({**settings, "generte": DEMO["generate"]})


def test_a_misspelt_key_of_a_matrix() -> None:
    with pytest.raises(FewstepError, match=r"sensitivty: unknown key\. Did you mean sensitivity\?"):
        parse_matrix({**matrix_content(), "sensitivty": {}})
    with pytest.raises(FewstepError, match=r"Did you mean batch_size\?"):
        parse_matrix(matrix_content(objectives={"vsd": {"batchsize": 3}}))


@pytest.mark.parametrize("stage", CONFIGURED, ids=lambda stage: stage.__name__)
def test_a_wrong_file_is_refused_before_torch_is_loaded(stage: Any, tmp_path: Path) -> None:
    """Torch takes seconds, and a person waits."""
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**content(), "studnets": {}}))
    values = {"config": "run.yaml", "shard": "0", "count": "1"}
    parameters = inspect.signature(stage).parameters
    needed = [name for name, p in parameters.items() if p.default is p.empty]
    options = [f"--{name.replace('_', '-')}={values.get(name, name)}" for name in needed]
    code = "import sys\nfrom domains.cli import main\ntry: main()\n"
    code += "finally: print('torch' in sys.modules, 'pandas' in sys.modules)"
    made = subprocess.run(
        [sys.executable, "-c", code, stage.__name__, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode == 2 and made.stdout == "False False\n", made.stderr
    assert "unknown key" in made.stderr or stage.__name__ == "compare"
