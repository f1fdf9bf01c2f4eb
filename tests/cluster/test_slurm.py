"""Contract: one flag puts the DAG on SLURM, and no fault there costs finished work.

The tiny workflow runs once on a real SLURM of one node, in about three minutes of which most are
waiting: a training meets its time limit, a sampling job goes back to the queue as after a
pre-emption, and all processes of an evaluation are killed.
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml
from cluster.local_slurm import local_slurm, reason_against
from tiny_run import content, save_teacher

from domains.files.provenance import sha256

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PROFILE = ROOT / "workflows/profiles/slurm/config.yaml"
SECONDS = 1800
# What a centre fills in: account, partition of CPU jobs, partition of GPU jobs, GPU type.
BLANKS = ("tests", "cpu", "gpu", "fake")
# Here are no accounts of finished jobs, and files appear at once.
HERE = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1")
HERE += ("--latency-wait", "5")
TRAINING = "rule_distill_wildcards_student"
SAMPLING = "rule_generate_wildcards_student_2_0000"
EVALUATION = "rule_evaluate_wildcards_student_2"

Job = dict[str, str]


def reason_to_skip() -> str | None:
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return 'no executor for SLURM: pip install ".[slurm]"'
    return reason_against()


REASON = reason_to_skip()


def test_profile_names_the_rules_with_a_gpu() -> None:
    text = "\n".join(path.read_text() for path in ROOT.glob("workflows/rules/*.smk"))
    rules = re.split(r"^ *rule ", text, flags=re.M)
    with_gpu = {rule.partition(":")[0] for rule in rules if re.search(r"^ +gpu=1,", rule, re.M)}
    assert set(yaml.safe_load(PROFILE.read_text())["set-resources"]) == with_gpu


@pytest.mark.skipif(REASON is not None, reason=f"{REASON}")
def test_faults_cost_no_finished_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_run()
    with local_slurm() as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        monkeypatch.setenv("PATH", f"{BIN}:{environment['PATH']}")
        run_with_faults()
        jobs = by_name(all_jobs())
    check_attempts(jobs)
    check_requests(jobs)
    check_training()


def check_attempts(jobs: dict[str, list[Job]]) -> None:
    """What failed was done again, once, and nothing else was."""
    states = {name: [job["JobState"] for job in attempts] for name, attempts in jobs.items()}
    assert states.pop(TRAINING) == ["TIMEOUT", "COMPLETED"]
    assert states.pop(EVALUATION) == ["FAILED", "COMPLETED"]
    assert {"rule_prepare_wildcards_teacher", SAMPLING, "rule_report"} <= set(states)
    assert all(found == ["COMPLETED"] for found in states.values()), states
    restarts = {name: int(attempts[0]["Restarts"]) for name, attempts in jobs.items()}
    assert {name: count for name, count in restarts.items() if count} == {SAMPLING: 1}


def check_requests(jobs: dict[str, list[Job]]) -> None:
    """What rules and profile ask for is what SLURM was asked for."""
    for name, attempts in jobs.items():
        with_gpu = name.startswith(("rule_distill", "rule_generate"))
        for job in attempts:
            assert job["Account"] == "tests"
            assert job["Partition"] == ("gpu" if with_gpu else "cpu")
            assert job.get("TresPerJob") == ("gres:gpu:fake:1" if with_gpu else None)
    first, second = jobs[TRAINING]
    assert first["CPUs/Task"] == "2"
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("16000M", "32000M")
    assert second["TimeLimit"] == "08:00:00"  # the first's is no longer what was asked for


def check_training() -> None:
    """The training went on where it was, and its student is that of an undisturbed one."""
    log = Path("results/tiny/logs/distill_student.log").read_text()
    assert re.search(r"resuming at step [1-9]", log), log
    command = [BIN / "fewstep", "distill", "--config", "c.yaml", "--student", "student"]
    command += ["--teacher", "results/tiny/teacher", "--state", "state", "--output", "again"]
    # As many threads as Snakemake gives to the rule: sums are rounded by how they are divided.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
    options = {"check": True, "capture_output": True, "timeout": SECONDS}
    subprocess.run(command, env=os.environ | threads, **options)
    students = (Path("again"), Path("results/tiny/students/student"))
    assert len({sha256(student / "model.safetensors") for student in students}) == 1


# The run


def write_run() -> None:
    """Write teacher, settings, and the profile with its blanks filled in."""
    save_teacher(Path("teacher"))
    fit = {"steps": 30, "checkpoint_every": 1, "validate_every": 0}
    settings = content(students={"student": {"fit": fit}}, generate={"per_length": 1})
    settings["sets"] = {"student_2": settings["sets"]["student_2"]}
    Path("c.yaml").write_text(yaml.safe_dump(settings))
    *parts, last = PROFILE.read_text().split('""')
    Path("profile").mkdir()
    filled = "".join(part + blank for part, blank in zip(parts, BLANKS, strict=True)) + last
    Path("profile/config.yaml").write_text(filled)


def run_with_faults() -> None:
    """Run the workflow through the profile, while each fault strikes once."""
    command = [BIN / "snakemake", "--profile", "profile", "--snakefile", ROOT / "Snakefile"]
    command += ["--configfile", "c.yaml", "--nocolor", *HERE]
    log, left, deadline = Path("snakemake.out"), dict(FAULTS), time.monotonic() + SECONDS
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        while left and process.poll() is None and time.monotonic() < deadline:
            strike(left)
            time.sleep(0.3)
        assert process.wait(SECONDS) == 0 and not left, log.read_text()
    finally:
        process.kill()
        process.wait()


def strike(left: dict[str, Callable[[str], bool]]) -> None:
    """Let the faults that are due happen, and forget them."""
    for job in all_jobs():
        fault = left.get(job["Comment"])
        if fault and job["JobState"] == "RUNNING" and fault(job["JobId"]):
            del left[job["Comment"]]


def meet_time_limit(job: str) -> bool:
    """Stop a training after its first checkpoint, and let its time be up.

    However fast this machine is, it can't be finished by then. It is killed as it would be in a
    step that takes too long.
    """
    training = at_work(job, "distill")
    saved = list(Path("results/tiny/state/student/state").glob("step-*.sha256"))
    if training is None or not saved:
        return False
    assert training.environ()["CUDA_VISIBLE_DEVICES"] == "0"
    training.send_signal(signal.SIGSTOP)
    scontrol("update", f"JobId={job}", "EndTime=now+1")
    return True


def be_preempted(job: str) -> bool:
    """Send a job back to the queue."""
    scontrol("requeue", job)
    return True


def be_killed(job: str) -> bool:
    """Kill all processes of a job that evaluates."""
    if at_work(job, "evaluate") is None:
        return False
    for process in processes(job):
        process.kill()
    return True


FAULTS = {TRAINING: meet_time_limit, SAMPLING: be_preempted, EVALUATION: be_killed}


# SLURM


def scontrol(*arguments: str, check: bool = True) -> str:
    command = ["scontrol", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60).stdout


def all_jobs() -> list[Job]:
    """Jobs of the present and the past, in the order of their submission."""
    lines = scontrol("--oneliner", "show", "job").splitlines()
    jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines if "JobId=" in line]
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def by_name(jobs: list[Job]) -> dict[str, list[Job]]:
    """Attempts by rule and wildcards."""
    found = defaultdict(list)
    for job in jobs:
        found[job["Comment"]].append(job)
    return dict(found)


def at_work(job: str, stage: str) -> psutil.Process | None:
    """The process of a running job that is a stage of ours, once it has begun."""
    return next((each for each in processes(job) if stage in each.info["cmdline"][2:3]), None)


def processes(job: str) -> list[psutil.Process]:
    """Processes of a running job, none before its first."""
    rows = scontrol("listpids", job, check=False).splitlines()[1:]
    numbers = {int(row.split()[0]) for row in rows}
    return [each for each in psutil.process_iter(["cmdline"]) if each.pid in numbers]
