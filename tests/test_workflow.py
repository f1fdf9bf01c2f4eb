"""Contract: the workflow makes what is asked, does nothing twice, and obeys no text in a config.

The real run takes a minute: seven small jobs, each of which loads torch.
"""

import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from snakemake_run import CONFIGS, planned, snakemake, stand_in
from tiny_run import content, deep_update, save_teacher

from domains.config import PRETRAIN
from domains.files.provenance import sha256

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(CONFIGS.glob("*/[!m]*.yaml"))
# Text that a shell, Snakemake's formatting or HTML could take for more than text.
NASTY = (
    'It\'s "$(touch hacked)" `touch hacked`; {x} {{y}} %s \\n <b>Größe</b> \U0001f9ec\nsecond line'
)
# A path that needs quoting.
TEACHER = "a teacher's $(touch hacked) ü"


def write(path: Path, **changes: Any) -> Path:
    """Write a config full of nasty text, with the sets of data and student only."""
    # The only shard is not full.
    plan = {"per_length": 1, "shard_size": 3}
    tiny = {"generate": plan, "teacher": TEACHER, "title": NASTY, "notes": NASTY}
    settings = content(**deep_update({**tiny, "sets": {"data": {"label": NASTY}}}, changes))
    settings["sets"].pop("naive")
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_plan(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = stand_in(path, tmp_path)
    jobs = planned(tmp_path, path)
    used = {one.model for one in run.sets.values()} | ({"teacher"} if run.students else set())
    used |= {expert.model for one in run.students.values() for expert in one.experts}
    trained = run.teacher == PRETRAIN
    prepared = used & ({*run.models} if trained else {"teacher", *run.models})
    assert jobs.get("prepare", 0) == len(prepared)
    assert jobs.get("generate", 0) == sum(run.plan(name).shards for name in run.sets)
    assert jobs.get("merge", 0) == jobs.get("evaluate", 0) == len(run.sets)
    assert [jobs.get(name, 0) for name in ("pretrain", "report")] == [trained, bool(run.sets)]
    assert jobs.get("describe", 0) == bool(run.sets and run.reference_sizes)
    assert jobs.get("fetch", 0) == bool(run.sets and run.needs_tools)


def test_weights_are_fetched_only_where_needed(tmp_path: Path) -> None:
    """The teacher's name is one that Snakemake would take for a pattern."""
    config = write(tmp_path / "c.yaml", teacher="{model}")
    assert "fetch" not in planned(tmp_path, config)
    ranked = {"student": {"objective": {"kind": "distillation_dpo", "preference": "cross_nll"}}}
    config = write(tmp_path / "c.yaml", teacher="{model}", students=ranked)
    assert planned(tmp_path, config, "--until", "distill")["fetch"] == 1
    shown = snakemake(tmp_path, config, "--dry-run", "--printshellcmds", "--until", "distill")
    assert "--tools data/proteinmpnn --state" in " ".join(shown.stdout.split())
    judged = {"model": "teacher", "sampler": {"kind": "tuned", "judge": "natives"}}
    config = write(tmp_path / "c.yaml", teacher="{model}", sets={"tuned": judged})
    shown = snakemake(tmp_path, config, "--dry-run", "--printshellcmds", "--until", "tune")
    assert "--tools data/proteinmpnn --output" in " ".join(shown.stdout.split())


def test_what_a_user_keeps_beside_fetched_files_is_never_fetched(tmp_path: Path) -> None:
    """Before it makes an output, Snakemake deletes what is there."""
    save_teacher(tmp_path / "data/mine")
    config = write(tmp_path / "c.yaml", teacher="data/mine", evaluate={"proxy": True})
    assert planned(tmp_path, config, "--forceall")["fetch"] == 1
    asked = snakemake(tmp_path, config, "--dry-run", "--forceall", "data/mine")
    assert "fetch" not in asked.stdout + asked.stderr


def test_the_weaker_model_is_prepared_only_where_needed(tmp_path: Path) -> None:
    guided = {"sampler": {"guidance": 2.0, "autoguidance": 0.5}}
    for sets, count in (({}, 1), ({"student_2": guided}, 2)):
        config = write(tmp_path / "c.yaml", teacher="{model}", weaker="{weaker}", sets=sets)
        assert planned(tmp_path, config)["prepare"] == count


def test_students_start_from_others_and_sets_from_other_models(tmp_path: Path) -> None:
    save_teacher(tmp_path / TEACHER)
    save_teacher(tmp_path / "earlier one", seed=1)
    students = {
        "first": {"start": "finished", "fit": {"steps": 1}, "roll_out": {"steps": 1}},
        "second": {"start": "first", "fit": {"steps": 1}, "roll_out": {"steps": 1}},
    }
    twice = {"kind": "renoise", "steps": 2, "asked_twice": True}
    sets = {"second": {"model": "second"}, "other": {"model": "finished", "sampler": twice}}
    config = write(
        tmp_path / "c.yaml",
        students=students,
        sets=sets,
        models={"finished": "earlier one"},
    )
    made = snakemake(tmp_path, config)
    assert made.returncode == 0, made.stdout + made.stderr
    out = tmp_path / "results/tiny"
    for student, origin in (("first", "models/finished"), ("second", "students/first")):
        model = json.loads((out / f"students/{student}/model.json").read_text())
        started = model["config"]["provenance"]["start_sha256"]
        assert started == sha256(out / origin / "model.safetensors")
    facts = [json.loads((out / f"evaluation/{name}/set.json").read_text()) for name in sets]
    assert [one["role"] for one in facts] == ["student", "student"]
    assert set(pd.read_csv(out / "samples/other/index.csv")["network_calls"]) == {4}


def test_a_tuned_sampler_is_searched_before_its_set_is_sampled(tmp_path: Path) -> None:
    save_teacher(tmp_path / TEACHER)
    searched = {"kind": "tuned", "steps": 2, "trials": 1, "samples": 2}
    sets = {"tuned": {"model": "teacher", "sampler": searched}}
    config = write(tmp_path / "c.yaml", students={"student": {"fit": {"steps": 1}}}, sets=sets)
    before = planned(tmp_path, config)
    assert before["tune"] == 1 and before["generate"] == 3
    made = snakemake(tmp_path, config)
    assert made.returncode == 0, made.stdout + made.stderr
    facts = json.loads((tmp_path / "results/tiny/evaluation/tuned/set.json").read_text())
    assert facts["sampler"] == "tuned" and facts["steps"] == 2 and facts["noise_scale"] is None
    assert "searched schedule" in (tmp_path / "results/tiny/report.html").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: tiny\nname: other\n", "'name' is given twice"),
        ("name: tiny\n", "Field required"),
        ("nmae: tiny\n", "the config"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    result = snakemake(tmp_path, tmp_path / "c.yaml", "--dry-run")
    assert result.returncode != 0
    said = result.stdout + result.stderr
    assert words in said and "Traceback" not in said


def test_missing_teacher_is_said_before_anything_runs(tmp_path: Path) -> None:
    result = snakemake(tmp_path, write(tmp_path / "c.yaml"), "--dry-run")
    assert result.returncode != 0
    assert TEACHER in result.stdout + result.stderr


def test_missing_program_is_said_before_anything_runs(tmp_path: Path) -> None:
    save_teacher(tmp_path / TEACHER)
    settings = {"similarity": "foldseek", "foldseek_program": "no/such/foldseek"}
    result = snakemake(tmp_path, write(tmp_path / "c.yaml", evaluate=settings))
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "Traceback" not in said
    assert "no program foldseek at no/such/foldseek" in said
    assert not (tmp_path / "results/tiny/teacher").exists()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the tiny workflow has run."""
    directory = tmp_path_factory.mktemp("workflow")
    save_teacher(directory / TEACHER)
    result = snakemake(directory, write(directory / "c.yaml"))
    assert result.returncode == 0, result.stdout + result.stderr
    return directory


def test_run_makes_all(done: Path) -> None:
    out = done / "results/tiny"
    made = {path.name for path in out.iterdir()}
    assert {"report.html", "results.csv", "teacher", "students", "samples", "evaluation"} <= made
    assert {path.name for path in (out / "samples").iterdir()} == {"data", "student_2"}
    assert (out / "logs/distill_student.log").read_text()
    assert not (done / "data").exists(), "nothing had to be fetched"


def test_text_stays_text(done: Path) -> None:
    assert not list(done.rglob("hacked")) and not (ROOT / "hacked").exists()
    page = html.unescape((done / "results/tiny/report.html").read_text(encoding="utf-8"))
    shown = " ".join(page.split())
    assert shown.count(" ".join(NASTY.split())) >= 2  # the title and a label
    assert "<b>Größe</b>" not in (done / "results/tiny/report.html").read_text(encoding="utf-8")
    saved = json.loads((done / "results/tiny/config.json").read_text(encoding="utf-8"))
    assert saved["title"] == saved["notes"] == saved["sets"]["data"]["label"] == NASTY
    assert saved["teacher"] == TEACHER


def test_second_run_has_nothing_to_do(done: Path) -> None:
    assert planned(done, done / "c.yaml") == {}


FIT = {"steps": 4, "validate_every": 3, "log_every": 1}
SAMPLED = {"generate": 2, "merge": 2, "evaluate": 2, "report": 1}
EDITS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "title": ({"title": "x"}, {"report": 1}),
    "label": ({"sets": {"data": {"label": "x"}}}, {"evaluate": 1, "report": 1}),
    "student": (
        {"students": {"student": {"fit": FIT}}},
        {"distill": 1, "generate": 1, "merge": 1, "evaluate": 1, "report": 1},
    ),
    "what is logged": ({"students": {"student": {"fit": {"log_every": 2}}}}, {}),
    "another student": ({"students": {"other": {"fit": FIT}}}, {}),
    "sizes": ({"generate": {"lengths": [40, 46]}}, {"describe": 1, **SAMPLED}),
    "measures": ({"evaluate": {"gallery": 1}}, {"evaluate": 2, "report": 1}),
    "more samples": ({"generate": {"per_length": 2}}, SAMPLED),
    "more samples in larger shards": (
        {"generate": {"per_length": 4, "shard_size": 4}},
        {"generate": 4, "merge": 2, "evaluate": 2, "report": 1},
    ),
    "batches": ({"generate": {"batch_points": 50}}, {}),
}


@pytest.mark.parametrize(("changes", "jobs"), EDITS.values(), ids=EDITS)
def test_an_edit_remakes_what_depends_on_it(
    done: Path, tmp_path: Path, changes: dict, jobs: dict[str, int]
) -> None:
    config = write(tmp_path / "c.yaml", **changes)
    assert planned(done, config) == jobs


def test_more_samples_change_no_shard(done: Path, tmp_path: Path) -> None:
    """Twice more, of the set of data; the next enlargement starts from the last one."""
    directory = tmp_path / "run"
    shutil.copytree(done, directory)
    samples = directory / "results/tiny/samples/data"
    first = {path: path.stat().st_mtime_ns for path in (samples / "shard_0000").iterdir()}
    for per_length, added in ((2, ["0001"]), (5, ["0002", "0003"])):
        config = write(tmp_path / "c.yaml", generate={"per_length": per_length})
        result = snakemake(directory, config, "results/tiny/samples/data/index.csv")
        said = result.stdout + result.stderr
        assert result.returncode == 0, said
        assert sorted(set(re.findall(r"Sampling data, shard (\d+)", said))) == added
        index = pd.read_csv(samples / "index.csv")
        assert list(index["sample"]) == list(range(2 * per_length))
        assert all((samples / file).exists() for file in index["file"])
    assert first == {path: path.stat().st_mtime_ns for path in first}


AFTER = {"distill": 1, "generate": 1, "merge": 1, "evaluate": 1, "report": 1}


@pytest.mark.parametrize(
    ("place", "jobs"), [(TEACHER, {"prepare": 1, **AFTER}), ("results/tiny/teacher", AFTER)]
)
def test_a_teacher_written_in_place_remakes_all_but_the_data(
    done: Path, tmp_path: Path, place: str, jobs: dict[str, int]
) -> None:
    """Writing a file in place leaves the date of its directory as it is."""
    shutil.copytree(done, tmp_path / "run")
    for file in save_teacher(tmp_path / "other", seed=1).iterdir():
        shutil.copyfile(file, tmp_path / "run" / place / file.name)
    assert planned(tmp_path / "run", done / "c.yaml") == jobs


@pytest.mark.parametrize("make", ["a file", "a dangling link"])
@pytest.mark.parametrize("name", ["results", "results/tiny"])
def test_what_is_in_the_way_of_a_run_is_one_line(tmp_path: Path, name: str, make: str) -> None:
    save_teacher(tmp_path / TEACHER)
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.touch() if make == "a file" else place.symlink_to("nowhere")
    done = snakemake(tmp_path, write(tmp_path / "c.yaml"), "results/tiny/teacher/model.json")
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Move away what is in the place of results/tiny" in said
    assert "__enter__" not in said and os.path.lexists(place) and not place.is_dir()


def test_a_pipe_in_the_place_of_the_last_settings_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "results/tiny").mkdir(parents=True)
    os.mkfifo(tmp_path / "results/tiny/config.json")
    save_teacher(tmp_path / TEACHER)
    assert planned(tmp_path, write(tmp_path / "c.yaml"))["prepare"] == 1


def test_a_teacher_from_the_future_is_prepared_once(tmp_path: Path) -> None:
    """And again if its date changes, to one of the past too."""
    teacher = save_teacher(tmp_path / TEACHER)
    config, target = write(tmp_path / "c.yaml"), "results/tiny/teacher/model.json"
    os.utime(teacher / "model.json", (4e9, 4e9))
    made = snakemake(tmp_path, config, target)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "prepare" not in planned(tmp_path, config, target)
    for date in (4.1e9, 1e9):
        os.utime(teacher / "model.json", (date, date))
        assert planned(tmp_path, config, target)["prepare"] == 1
