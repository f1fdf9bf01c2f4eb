"""Contract: a sweep is written out as students and sets, one for each combination."""

import json
import time
from typing import Any

import pytest
from tiny_run import content

from domains.config import RunConfig, parse_config
from domains.distillation.sampling.settings import Renoise
from domains.errors import FewstepError

SWEEP = {
    "students": ["student"],
    "steps": [2, 8],
    "roll_out_noise_scales": [1.0, 0.45],
    "seeds": [0, 3],
    "noise_scales": [0.35, 1],
}


def plain() -> dict[str, Any]:
    """Settings without a set of the student, which the sweep varies."""
    settings = content()
    sets = {k: v for k, v in settings["sets"].items() if v["model"] != "student"}
    return {**settings, "sets": sets}


def swept(**changes: object) -> RunConfig:
    return parse_config({**plain(), "sweep": {**SWEEP, **changes}})


def test_every_combination_is_there_once() -> None:
    run, before = swept(), parse_config(plain())
    names = {f"student_k{k}_r{r}_s{s}" for k in (2, 8) for r in ("1", "0.45") for s in (0, 3)}
    assert set(run.students) == set(before.students) - {"student"} | names
    assert run.sweep is None
    student = run.students["student_k8_r0.45_s3"]
    assert (student.roll_out.steps, student.roll_out.noise_scale, student.seed) == (8, 0.45, 3)
    assert student.fit == before.students["student"].fit
    sets = {f"{name}_g{g}" for name in names for g in ("0.35", "1")}
    sets |= {f"teacher_k{k}_g{g}" for k in (2, 8) for g in ("0.35", "1")}
    assert set(run.sets) == sets | set(before.sets)


def test_what_was_trained_with_steps_is_sampled_with_them() -> None:
    run = swept()
    varied = {name: one for name, one in run.students.items() if name.startswith("student_k")}
    assert len(varied) == 8
    for name, student in varied.items():
        used = [one for one in run.sets.values() if one.model == name]
        assert {one.sampler.steps for one in used} == {student.roll_out.steps}
        assert {one.sampler.noise_scale for one in used} == {0.35, 1.0}
    labels = [one.label for one in run.sets.values() if one.label]
    assert len(set(labels)) == len(labels) >= 20


def test_a_single_step_has_no_fresh_noise_to_vary() -> None:
    run = swept(steps=[1])
    assert {name for name in run.students if "_k1" in name} == {
        "student_k1_r1_s0",
        "student_k1_r1_s3",
    }
    made = {name for name in run.sets if "_k1" in name}
    assert made == {"teacher_k1_g0.35", "student_k1_r1_s0_g0.35", "student_k1_r1_s3_g0.35"}


def test_what_is_not_swept_stays() -> None:
    run = swept(roll_out_noise_scales=[], seeds=[], teacher=False, noise_scales=[0.45])
    section = parse_config(plain()).students["student"]
    assert set(run.students) == {"student_k2", "student_k8"}
    kept = run.students["student_k8"]
    assert kept.roll_out.noise_scale == section.roll_out.noise_scale and kept.seed == section.seed
    assert not [name for name in run.sets if name.startswith("teacher_k")]


def test_written_out_settings_are_the_same_run() -> None:
    run = swept()
    assert parse_config(json.loads(run.model_dump_json())) == run


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"students": ["nobody"]}, "'nobody' is none of"),
        ({"students": ["student", "student"]}, "there already"),
        ({"steps": []}, "sweep.steps"),
        ({"steps": [0]}, "sweep.steps"),
        ({"noise_scales": [-1]}, "sweep.noise_scales"),
        ({"seeds": [1.5]}, "sweep.seeds"),
        ({"step": [1]}, "sweep.step"),
    ],
    ids=str,
)
def test_a_wrong_sweep_is_one_line(wrong: dict, said: str) -> None:
    with pytest.raises(FewstepError, match=said) as error:
        swept(**wrong)
    assert len(str(error.value).splitlines()) == 1


CLOSE = [0.1234567890, 0.1234567891, 0.1234567891000001]


def test_values_that_differ_in_the_tenth_digit_are_different() -> None:
    run = swept(noise_scales=CLOSE, roll_out_noise_scales=CLOSE, seeds=[0], steps=[2])
    made = [one for name, one in run.sets.items() if "_k2" in name]
    assert len(made) == 3 * 3 + 3
    pairs = {(one.model, one.sampler.noise_scale) for one in made}
    assert len(pairs) == len(made) and {scale for _, scale in pairs} == set(CLOSE)
    assert len({one.label for one in made}) == len(made)
    assert {one.roll_out.noise_scale for one in run.students.values()} == set(CLOSE)
    assert parse_config(json.loads(run.model_dump_json())) == run


@pytest.mark.parametrize("key", ["noise_scales", "roll_out_noise_scales", "seeds", "steps"])
def test_a_value_given_twice_is_refused(key: str) -> None:
    with pytest.raises(FewstepError, match="there already"):
        swept(**{key: [4, 2, 4]})


@pytest.mark.parametrize("count", [100, 10_000])
def test_a_sweep_that_is_too_large_is_refused_at_once(count: int) -> None:
    scales, seeds = [k / 100 for k in range(100)], list(range(count))
    began = time.process_time()
    with pytest.raises(FewstepError, match=r"sweep: it makes \d+ sets; at most 1000"):
        swept(steps=list(range(1, 101)), noise_scales=scales, seeds=seeds)
    assert time.process_time() - began < 5


def test_a_large_sweep_is_made() -> None:
    run = swept(steps=[2], noise_scales=[1], roll_out_noise_scales=[1], seeds=list(range(999)))
    assert len([name for name in run.sets if "_k2" in name]) == 1000


def test_a_set_of_what_is_varied_is_refused() -> None:
    with pytest.raises(FewstepError, match="is 'student', not one of"):
        parse_config({**content(), "sweep": SWEEP})


def test_students_of_deterministic_roll_outs_are_sampled_so() -> None:
    settings = plain()
    settings["students"]["student"]["roll_out"] = {"eta": 0.0}
    run = parse_config({**settings, "sweep": SWEEP})
    swept_sets = [one for name, one in run.sets.items() if name.startswith("student_k")]
    assert len(swept_sets) == 16
    for one in swept_sets:
        assert isinstance(one.sampler, Renoise) and one.sampler.is_deterministic
    teachers = [one for name, one in run.sets.items() if name.startswith("teacher_k")]
    assert all(isinstance(s.sampler, Renoise) and not s.sampler.is_deterministic for s in teachers)


def test_students_with_times_of_their_own_are_not_varied() -> None:
    settings = plain()
    settings["students"]["student"]["roll_out"] = {"steps": 2, "times": [0.3, 0.7]}
    with pytest.raises(FewstepError, match=r"roll_out\.times"):
        parse_config({**settings, "sweep": SWEEP})
