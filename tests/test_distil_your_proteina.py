"""Contract: the runs of distil_your_proteina.md go from a checkpoint's network to samples.

A network of the published architecture's keys and of tiny widths stands for the checkpoint; what a
file asks of students and samplers stays, but for the number of updates, chains and residues. That
the files are valid and can be planned is in test_config.py and test_workflow.py.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from protein.designers import untrained_proxy
from protein.network.examples import published
from snakemake_run import settings_file
from tiny_run import deep_update

from domains.config import RunConfig, load_config, read_yaml
from domains.field import load_field
from domains.protein.settings import ProteinPretrain
from domains.stages.distill import distill
from domains.stages.generate import generate
from domains.stages.shard_index import read_index
from domains.stages.tune import read_sampler, tune

SMALL, LARGE, FOLD = (f"protein_flow_map_{name}" for name in ("60m", "200m", "fold"))
TINY = {"token_dim": 16, "nlayers": 2, "nheads": 2, "pair_repr_dim": 8, "dim_cond": 16}
TINY |= {"t_emb_dim": 16, "idx_emb_dim": 8, "fold_emb_dim": 4}
# One chain of the flow map: the student's roll-out, the teacher's calls, the student's gradient.
CALLS = {"flow_map_8": 8 + (2 * 8 + 5 * 7) + 3 * 8, "flow_map_4": 4 + (2 * 4 + 11 * 3) + 3 * 4}
CALLS["guided_8"] = CALLS["flow_map_8"] + (2 * 8 + 5 * 7)


def run_of(name: str) -> RunConfig:
    return load_config(settings_file(name))


def shortened(name: str, place: Path) -> Path:
    """Write a run's file with one update of a chain for each student, and with two short chains."""
    written = read_yaml(settings_file(name))
    fit: dict[str, Any] = {"accumulate": 1, "precision": "32-true"}
    brief = {"batch_size": 1, "lengths": {"low": 40, "high": 41}}
    changes: dict[str, Any] = {"generate": {"lengths": [40], "per_length": 2, "shard_size": 2}}
    changes["students"] = {
        student: brief
        | {"fit": fit | {key: 1 for key in ("steps", "network_calls") if key in own["fit"]}}
        for student, own in written["students"].items()
    }
    changes["sets"] = {
        one: {"sampler": {"trials": 1, "samples": 2}}
        for one, own in written["sets"].items()
        if own.get("sampler", {}).get("kind") == "tuned"
    }
    path = place / "run.yaml"
    path.write_text(
        yaml.safe_dump(deep_update(written, changes), sort_keys=False), encoding="utf-8"
    )
    return path


def save_untrained(directory: Path) -> Path:
    field = load_field("protein")
    network = published("ca_af3_60M_notri") | TINY
    config = ProteinPretrain.model_validate({"network": network, "fit": {"steps": 1}})
    field.save(field.new(config, 0), directory, made_by="tests")
    return directory


@pytest.mark.parametrize("name", [SMALL, FOLD])
def test_a_run_goes_from_its_teacher_to_samples(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domains.protein.field.load_proxy", lambda *_, **__: untrained_proxy())
    config, teacher = shortened(name, tmp_path), save_untrained(tmp_path / "teacher")
    run, models = load_config(config), {"teacher": teacher, "data": None}
    for student, section in run.students.items():
        models[student], state = tmp_path / student, tmp_path / f"state_{student}"
        start = models[section.start] if section.start else None
        distill(config, student, teacher, state, tmp_path / student, start=start)
        log = pd.read_csv(state / "log.csv")
        if student in CALLS:
            assert log["network_calls"].iloc[-1] == CALLS[student]
    for one, settings in run.sets.items():
        sampler = None
        if settings.sampler.kind == "tuned":
            sampler = tmp_path / f"{one}.json"
            tune(config, one, teacher, sampler, tools=tmp_path)
            assert read_sampler(sampler).is_deterministic
        shard = tmp_path / "samples" / one / "shard_0000"
        generate(config, one, 0, shard, models[settings.model], sampler=sampler)
        assert len(read_index(shard)) == 2


def test_the_two_sizes_differ_in_their_checkpoint_only() -> None:
    of_checkpoint = {"name", "title", "teacher"}
    small, large = (run_of(name).model_dump(exclude=of_checkpoint) for name in (SMALL, LARGE))
    assert small == large
    assert run_of(LARGE).teacher == run_of("protein_sid").teacher


def test_sid_is_the_papers_with_the_flow_maps_network_calls() -> None:
    run, paper = run_of(LARGE), run_of("protein_sid").students["student"]
    sid, flow_map = run.students["sid"], run.students["flow_map_8"]
    for key in ("objective", "roll_out", "lengths", "student", "fake", "fake_updates"):
        assert getattr(sid, key) == getattr(paper, key), key
    chains = [one.batch_size * one.fit.accumulate for one in (sid, flow_map)]
    assert chains == [32, 32]
    # After as many samples; the paper's batch is 4,096, on four devices.
    assert sid.reset_fake_every * 32 == pytest.approx(paper.reset_fake_every * 4096, rel=0.01)
    assert sid.fit.network_calls == CALLS["flow_map_8"] * 32 * flow_map.fit.steps


@pytest.mark.parametrize("name", [SMALL, LARGE, FOLD])
def test_students_are_sampled_as_they_were_trained(name: str) -> None:
    run = run_of(name)
    sampled = {one.model: one.sampler for one in run.sets.values() if one.model in run.students}
    assert set(sampled) == set(run.students)
    for student, section in run.students.items():
        trained = section.roll_out.sampler(sampled[student].noise_scale)
        assert trained == sampled[student]
        if section.roll_out.is_deterministic:
            assert section.validation_noise_scale == trained.noise_scale == 1
