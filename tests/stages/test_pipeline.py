"""Contract: prepare → distill → generate → evaluate → report, on a network of seconds.

Samples depend on seed and number only: not on shards, batches, or how many are asked for.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_run import save_teacher, write_config

from domains.errors import FewstepError
from domains.evaluation.statistics.table import SAMPLE, SUMMARY, read_table
from domains.field import load_field
from domains.files.model_files import read_model
from domains.files.provenance import sha256
from domains.stages.distill import distill
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate
from domains.stages.prepare import prepare
from domains.stages.report import report

NAMES = ("data", "naive", "student_2")
# Chains are a few nm wide; files hold 0.0001 nm.
CLOSE = 1e-4 + 1e-4


@dataclass(frozen=True)
class Run:
    """A finished run."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "run.yaml"

    def model(self, name: str) -> Path | None:
        return {"data": None, "naive": self.root / "teacher"}.get(name, self.root / "student")

    def samples(self, name: str) -> Path:
        return self.root / "samples" / name


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("run"))
    config = write_config(run.config, title="Tiny <run>", notes="First.\n\nSecond.")
    prepare(str(save_teacher(run.root / "source")), run.root / "teacher")
    state, student = run.root / "state", run.root / "student"
    distill(config, "student", run.root / "teacher", state, student)
    for name in NAMES:
        for k in range(2):
            generate(config, name, k, run.samples(name) / f"shard_{k:04d}", run.model(name))
        evaluate(config, name, run.samples(name), run.root / "evaluation" / name)
    evaluations, log = run.root / "evaluation", state / "log.csv"
    report(config, evaluations, run.root / "report.html", run.root / "results.csv", log)
    return run


def points(samples: Path) -> dict[int, np.ndarray]:
    """Coordinates by sample number, of all shards."""
    domain, found = load_field("protein"), {}
    for shard in sorted(samples.glob("shard_*")):
        for row in pd.read_csv(shard / "index.csv").itertuples():
            found[row.sample] = domain.read(shard / row.file).points.numpy()
    return found


def sampled(run: Run, directory: Path, name: str, **changes: int) -> dict[int, np.ndarray]:
    """Sample a set anew with other settings of its generation."""
    config = write_config(directory / "other.yaml", generate=changes)
    count = 2 * changes.get("per_length", 2)
    for k in range(-(-count // changes.get("shard_size", 2))):
        generate(config, name, k, directory / name / f"shard_{k:04d}", run.model(name))
    return points(directory / name)


@pytest.mark.parametrize("name", NAMES)
def test_shards_list_their_files(run: Run, name: str) -> None:
    for shard in run.samples(name).iterdir():
        index = pd.read_csv(shard / "index.csv")
        columns = "sample length seed seconds network_calls memory_gb file sha256"
        assert list(index.columns) == columns.split()
        assert {p.name for p in shard.iterdir()} == {*index["file"], "index.csv", "shard.json"}
        assert [sha256(shard / file) for file in index["file"]] == list(index["sha256"])
        assert (index["network_calls"] == (0 if name == "data" else 2)).all()


@pytest.mark.parametrize("name", NAMES)
def test_residues_count_from_1_in_chain_a(run: Run, name: str) -> None:
    for path in run.samples(name).rglob("*.pdb"):
        atoms = [line for line in path.read_text().splitlines() if line.startswith("ATOM")]
        assert {line[21] for line in atoms} == {"A"}
        assert [int(line[22:26]) for line in atoms] == list(range(1, len(atoms) + 1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "changes",
    [{"shard_size": 1}, {"shard_size": 4}, {"batch_points": 40}, {"per_length": 3}],
    ids=str,
)
def test_a_sample_depends_on_its_number_only(
    run: Run, tmp_path: Path, name: str, changes: dict
) -> None:
    before, after = points(run.samples(name)), sampled(run, tmp_path, name, **changes)
    assert len(before) == 4 and set(before) <= set(after)
    for number, old in before.items():
        assert after[number].shape == old.shape
        assert np.abs(after[number] - old).max() <= CLOSE


def test_another_seed_gives_other_samples(run: Run, tmp_path: Path) -> None:
    config = write_config(tmp_path / "other.yaml", seed=4)
    generate(config, "naive", 0, tmp_path / "naive/shard_0000", run.model("naive"))
    old, new = points(run.samples("naive")), points(tmp_path / "naive")
    assert all(np.abs(new[number] - old[number]).max() > 0.1 for number in new)


def test_sets_share_their_noise(run: Run) -> None:
    """An untrained student is its teacher, so only training parts the two."""
    old, new = points(run.samples("naive")), points(run.samples("student_2"))
    assert all(0 < np.abs(new[k] - old[k]).max() < 0.1 for k in old)


def test_data_are_held_out(run: Run) -> None:
    from domains.protein.data.dataset import load_domains

    test = set(load_domains().subset("test").ids)
    assert {path.stem for path in run.samples("data").rglob("*.pdb")} <= test


def test_mmcif_is_written_beside(run: Run, tmp_path: Path) -> None:
    config = write_config(tmp_path / "other.yaml", generate={"formats": ["cif"]})
    generate(config, "naive", 0, tmp_path / "shard", run.model("naive"))
    read = load_field("protein").read
    for path in (tmp_path / "shard").glob("*.pdb"):
        assert np.allclose(read(path).points, read(path.with_suffix(".cif")).points)
    assert len(list((tmp_path / "shard").glob("*.cif"))) == 2


def test_fewer_data_than_samples_are_shown(run: Run, tmp_path: Path, monkeypatch) -> None:
    """Held-out data can run out: a shard is then short or empty, and the rest is measured."""
    domain = load_field("protein")
    held_out = type(domain).held_out

    def two(*args):
        return {k: v for k, v in held_out(*args).items() if k < 2}

    monkeypatch.setattr(type(domain), "held_out", two)
    for k in range(2):
        generate(run.config, "data", k, tmp_path / f"data/shard_{k:04d}")
    assert [len(pd.read_csv(tmp_path / f"data/shard_{k:04d}/index.csv")) for k in (0, 1)] == [2, 0]
    assert pd.read_csv(tmp_path / "data/shard_0001/skipped.csv")["sample"].tolist() == [2, 3]
    evaluate(run.config, "data", tmp_path / "data", tmp_path / "out")
    assert json.loads((tmp_path / "out/set.json").read_text())["n"] == 2


# Tables


@pytest.mark.parametrize("name", NAMES)
def test_tables_have_the_tidy_columns(run: Run, name: str) -> None:
    directory = run.root / "evaluation" / name
    summary = read_table(directory / "set.csv", SUMMARY)
    assert list(summary.columns) == list(SUMMARY.columns)
    assert not summary.duplicated(["role", "steps", "noise_scale", "metric"]).any()
    samples = read_table(directory / "samples.csv", SAMPLE)
    assert list(samples.columns)[: len(SAMPLE.columns)] == list(SAMPLE.columns)
    assert list(samples["sample"]) == [0, 1, 2, 3]
    role = {"data": "data", "naive": "teacher_naive", "student_2": "student"}[name]
    assert set(samples["role"]) == set(summary["role"]) == {role}
    timed = {"seconds", "network_calls", "memory_gb"} <= set(summary["metric"])
    assert timed == (name != "data")
    assert "designability_proxy" not in set(summary["metric"])


def test_results_are_all_sets(run: Run) -> None:
    table = read_table(run.root / "results.csv", SUMMARY)
    parts = [read_table(run.root / "evaluation" / name / "set.csv", SUMMARY) for name in NAMES]
    assert len(table) == sum(map(len, parts))


def test_report_is_one_file_that_loads_nothing(run: Run) -> None:
    text = (run.root / "report.html").read_text(encoding="utf-8")
    assert "Tiny &lt;run&gt;" in text and "Tiny <run>" not in text
    assert 'src="http' not in text and "@import" not in text


def test_means_are_those_of_the_samples(run: Run) -> None:
    directory = run.root / "evaluation/student_2"
    samples = pd.read_csv(directory / "samples.csv")
    summary = pd.read_csv(directory / "set.csv").set_index("metric")
    for name in ("bond_fraction", "clashes", "novelty_tm", "seconds"):
        assert summary.loc[name, "value"] == pytest.approx(samples[name].mean())
        assert summary.loc[name, "n"] == 4


def test_a_random_part_is_measured_the_same_of_every_set(run: Run, tmp_path: Path) -> None:
    config = write_config(tmp_path / "run.yaml", evaluate={"most": 3})
    numbers = []
    for name in ("naive", "student_2"):
        evaluate(config, name, run.samples(name), tmp_path / name)
        numbers.append(list(pd.read_csv(tmp_path / name / "samples.csv")["sample"]))
        assert json.loads((tmp_path / name / "set.json").read_text())["made"] == 4
    assert numbers[0] == numbers[1] == sorted(numbers[0]) and len(numbers[0]) == 3


def test_undefined_values_are_shown(run: Run, tmp_path: Path, monkeypatch) -> None:
    """A chain that isn't finite has no helix; its share stands in the table and the report."""
    domain = load_field("protein")
    measure = type(domain).evaluate

    def one_is_nan(self, samples, *rest):
        samples[0].points[0] = float("nan")
        return measure(self, samples, *rest)

    monkeypatch.setattr(type(domain), "evaluate", one_is_nan)
    monkeypatch.setattr(type(domain), "gallery", lambda *_: {"scenes": [], "matrices": []})
    evaluate(run.config, "naive", run.samples("naive"), tmp_path / "out/naive")
    table = read_table(tmp_path / "out/naive/set.csv", SUMMARY).set_index("metric")
    assert table.loc["finite", "value"] == 0.75
    for name in ("bond_fraction", "novelty_tm"):
        assert table.loc[name, "n"] == 3
        assert table.loc[f"{name}_undefined", "value"] == 0.25
    samples = pd.read_csv(tmp_path / "out/naive/samples.csv")
    assert samples["bond_fraction"].isna().tolist() == [True, False, False, False]


# Damage


def test_interrupted_shard_has_no_index(run: Run, tmp_path: Path, monkeypatch) -> None:
    shard = tmp_path / "shard_0000"
    generate(run.config, "naive", 0, shard, run.model("naive"))
    domain = load_field("protein")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(domain), "write", stop)
    with pytest.raises(KeyboardInterrupt):
        generate(run.config, "naive", 0, shard, run.model("naive"))
    assert not (shard / "index.csv").exists()


# Training


def test_stopped_training_resumes(run: Run, tmp_path: Path, caplog) -> None:
    """The same command goes on; the result is that of a training in one go."""
    fit = {"fit": {"max_seconds": 1e-6}}
    short = write_config(tmp_path / "short.yaml", students={"student": fit})
    teacher, state, student = run.root / "teacher", tmp_path / "state", tmp_path / "student"
    for step in (1, 2):
        with pytest.raises(FewstepError, match=rf"step {step} of 3\. Run the same command"):
            distill(short, "student", teacher, state, student)
        assert not student.exists()
    with caplog.at_level(logging.INFO):
        distill(short, "student", teacher, state, student)
    assert "resuming at step 2 of 3" in caplog.text
    assert sha256(student / "model.safetensors") == sha256(run.root / "student/model.safetensors")
    distill(short, "student", teacher, state, student)


def test_a_student_goes_on_from_another(run: Run, tmp_path: Path) -> None:
    teacher, first = run.root / "teacher", run.root / "student"
    frozen = {"student": {"student": {"rate": 1e-30}, "fit": {"steps": 1}}}
    config = write_config(tmp_path / "c.yaml", students=frozen)
    places = tmp_path / "state", tmp_path / "student"
    distill(config, "student", teacher, *places, start=first)
    weights, content = read_model(tmp_path / "student")
    torch.testing.assert_close(weights, read_model(first)[0])
    assert content["provenance"]["start_sha256"] == sha256(first / "model.safetensors")


def test_a_student_starts_from_none_of_another_shape(run: Run, tmp_path: Path) -> None:
    other = save_teacher(tmp_path / "other", token_dim=32)
    with pytest.raises(FewstepError, match="can't be where a student starts"):
        places = tmp_path / "state", tmp_path / "student"
        distill(run.config, "student", run.root / "teacher", *places, start=other)


def test_student_says_where_it_came_from(run: Run) -> None:
    facts = json.loads((run.root / "student/model.json").read_text())["config"]["provenance"]
    assert facts["teacher_sha256"] == sha256(run.root / "teacher/model.safetensors")
    assert (facts["run"], facts["seed"], facts["steps"]) == ("tiny", 3, 3)
    assert facts["distil"]["fit"]["steps"] == 3


def test_prepared_teacher_is_prepared_again_unchanged(run: Run, tmp_path: Path) -> None:
    prepare(str(run.root / "teacher"), tmp_path / "again")
    old, new = (d / "model.safetensors" for d in (run.root / "teacher", tmp_path / "again"))
    assert sha256(old) == sha256(new)
