"""Contract: a matrix is written out as one run for each field, with a cell for each combination.

Budgets are equal, a student is sampled as it was trained, and what can't be says why.
"""

import json
from typing import Any

import pytest
from snakemake_run import settings_file
from tiny_matrix import matrix_content
from tiny_run import deep_update

from domains.config import cells, parse_config, parse_matrix, read_yaml, runs, untrained
from domains.config.matrix import merged
from domains.distillation.sampling.settings import Renoise
from domains.distillation.sampling.tuned import Tuned
from domains.errors import FewstepError

TDM = {"objective": {"kind": "tdm"}, "roll_out": {"eta": 0.0, "noise_scale": 0.9}}
FULL: dict[str, Any] = {
    "seeds": [0, 3],
    "steps": [2, 4],
    "budget": 0.5,
    "domains": {"protein": {"changes": {"vsd": {"batch_size": 3}}, "main_steps": 2, "tuned": 3}},
    "objectives": {"tdm": TDM},
    "sensitivity": {
        "vsd_2": {"objective": "vsd", "changes": {"fake_updates": 2}, "domains": ["protein"]}
    },
}


def test_every_combination_is_a_cell() -> None:
    matrix = parse_matrix(matrix_content(**FULL))
    grid = {f"{o}_k{k}_s{s}" for o in ("vsd", "tdm") for k in (2, 4) for s in (0, 3)}
    for domain, more in (("protein", {"vsd_2_k2_s0"}), ("lidar", set())):
        run = runs(matrix)[domain]
        assert run.name == f"grid_{domain}" and run.domain == domain
        assert set(run.students) == grid | more
        lines = ("teacher", "tuned") if domain == "protein" else ("teacher",)
        free = {f"{line}_k{k}" for line in lines for k in (2, 4)}
        assert set(untrained(matrix, domain)) == free
        assert set(run.sets) == grid | more | free | set(matrix.domains[domain].sets)
        assert parse_config(json.loads(run.model_dump_json())) == run


def test_the_tuned_schedule_is_searched_as_often_as_the_field_says() -> None:
    found = runs(parse_matrix(matrix_content(**FULL)))["protein"].sets
    assert found["tuned_k4"].sampler == Tuned(kind="tuned", steps=4, trials=3, samples=2)
    assert found["tuned_k4"].role == "teacher_naive"


def test_budgets_are_equal() -> None:
    found = runs(parse_matrix(matrix_content(**FULL)))
    for domain, calls in (("protein", 50), ("lidar", 20)):
        fits = [student.fit for student in found[domain].students.values()]
        assert {fit.network_calls for fit in fits} == {calls}
        assert {(fit.steps, fit.validations) for fit in fits} == {(None, 2)}


def test_changes_are_of_their_field_and_objective() -> None:
    found = runs(parse_matrix(matrix_content(**FULL)))
    sizes = {k: s.batch_size for k, s in found["protein"].students.items()}
    assert sizes["vsd_k4_s3"] == sizes["vsd_2_k2_s0"] == 3 and sizes["tdm_k4_s3"] == 2
    assert {s.batch_size for s in found["lidar"].students.values()} == {1}
    updates = {k: s.fake_updates for k, s in found["protein"].students.items()}
    assert {k for k, count in updates.items() if count == 2} == {"vsd_2_k2_s0"}


def test_students_are_sampled_and_validated_as_they_were_trained() -> None:
    for domain, run in runs(parse_matrix(matrix_content(**FULL))).items():
        usual = {"protein": 0.45, "lidar": 1.0}[domain]
        for name, student in run.students.items():
            sampler = run.sets[name].sampler
            assert isinstance(sampler, Renoise) and run.sets[name].model == name
            assert sampler.steps == student.roll_out.steps and f"_k{sampler.steps}_" in name
            assert name.endswith(f"_s{student.seed}")
            assert sampler.is_deterministic == student.roll_out.is_deterministic == ("tdm" in name)
            scale = 0.9 if "tdm" in name else usual
            assert sampler.noise_scale == student.validation_noise_scale == scale


def test_students_told_their_last_estimate_are_sampled_so() -> None:
    changes = {"vsd": {"roll_out": {"self_conditioning": True}}}
    matrix = parse_matrix(matrix_content(**{**FULL, "domains": {"protein": {"changes": changes}}}))
    sets = runs(matrix)["protein"].sets
    samplers = {name: one.sampler for name, one in sets.items() if one.model == name}
    told = {name for name, one in samplers.items() if getattr(one, "self_conditioning", False)}
    assert told == {name for name in samplers if name.startswith("vsd")} != set()


def test_the_example_has_what_papers_say_and_the_same_last_times() -> None:
    matrix = parse_matrix(read_yaml(settings_file("matrix")))
    for domain, last, dmd2_s0 in (("protein", 0.99, "dmd2_k8_s0"), ("lidar", 1.0, "dmd2_k1_s0")):
        students = runs(matrix)[domain].students
        dmd2 = students[dmd2_s0].model_dump()
        assert dmd2["fake_updates"] == 5
        weights = {"weight": 3e-3, "critic_weight": 1e-2}
        assert dmd2["objective"]["adversarial"] == weights
        objectives = [one.objective.model_dump() for one in students.values()]
        ends = [one["student_times"]["high"] for one in objectives if "student_times" in one]
        assert len(ends) > 20 and set(ends) == {last}


def test_what_cannot_be_is_no_cell_but_a_sentence() -> None:
    """The words are those that refuse the same student in a run."""
    own = {
        "tempered": {"objective": {"kind": "sid"}, "teacher_noise_scale": 0.6},
        "phased": {"objective": {"kind": "phased_dmd", "phases": 3}},
    }
    content = matrix_content(**deep_update(FULL, {"objectives": own}))
    matrix = parse_matrix(content)
    found = {
        (domain, cell.objective, cell.steps): cell
        for domain in matrix.domains
        for cell in cells(matrix, domain)
        if not cell.variation and not cell.seed
    }
    run = runs(matrix)["lidar"].model_dump(mode="json")
    for key in (("lidar", "tempered", 2), ("lidar", "phased", 2)):
        cell = found[key]
        assert cell.obstacle and cell.name not in run["students"]
        student = merged(content["domains"]["lidar"]["student"], own[cell.objective])
        wrong = merged(student, {"fit": {"network_calls": 1}, "roll_out": {"steps": 2}})
        with pytest.raises(FewstepError) as error:
            parse_config({**run, "students": {**run["students"], "x": wrong}})
        assert cell.obstacle in str(error.value)
    assert not found["protein", "tempered", 2].obstacle
    assert found["protein", "phased", 2].obstacle and not found["protein", "phased", 4].obstacle
    assert all(found[d, "aligned", k].obstacle for d in ("protein", "lidar") for k in (2, 4))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"objectives": {"vsd": {"objective": {"kind": "gan"}}}}, "objectives.vsd, as protein"),
        ({"objectives": {"vsd": {"batch": 3}}}, "batch: unknown key"),
        ({"objectives": {"vsd": {"fit": {"steps": 3}}}}, "either steps, network_calls or seconds"),
        ({"domains": {"protein": {"changes": {"vds": {}}}}}, "'vds' is none of"),
        ({"sensitivity": {"x": {"objective": "vds", "changes": {}}}}, "'vds' is none of"),
        ({"sensitivity": {"vsd": {"objective": "vsd", "changes": {}}}}, "has this name"),
        ({"domains": {"protein": {"sets": {"vsd_k2_s0": {"model": "data"}}}}}, "'vsd_k2_s0'"),
        ({"domains": {"protein": {"main_steps": 3}}}, "not one of its steps"),
        ({"domains": {"protein": {"generate": {"scenes": 2}}}}, "domains.protein"),
        ({"domains": {"weather": {}}}, "domains.weather"),
        ({"seeds": [1, 1]}, "given twice"),
        ({"seeds": list(range(100_000))}, "at most 1000"),
        ({"seeds": []}, "seeds"),
        ({"budget": 0}, "budget"),
        ({"name": "a/b"}, "name"),
    ],
    ids=str,
)
def test_a_wrong_matrix_is_one_line(wrong: dict, said: str) -> None:
    with pytest.raises(FewstepError, match=said) as error:
        parse_matrix(matrix_content(**wrong))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("files", [["matrix"], ["matrix", "matrix_small"]], ids=len)
def test_examples_can_be_written_out(files: list[str]) -> None:
    """The files that follow change the first, as Snakemake lets them."""
    matrix = parse_matrix(merged(*(read_yaml(settings_file(name)) for name in files)))
    seeds, small = len(matrix.seeds), len(files) > 1
    for domain, run in runs(matrix).items():
        steps, varied = len(matrix.steps_of(domain)), len(matrix.variations)
        hindered = sum(bool(cell.obstacle) for cell in cells(matrix, domain))
        most = len(matrix.objectives) * steps * seeds + varied
        assert len(run.students) == most - hindered and bool(varied) != small


def test_the_teacher_is_sampled_on_the_times_that_the_students_share() -> None:
    roll_out = {"times": [0.1, 0.6], "eta": 0}
    matrix = parse_matrix(
        matrix_content(domains={"protein": {"student": {"roll_out": roll_out}}}, objectives={})
    )
    sampler = untrained(matrix, "protein")["teacher_k2"][1].sampler
    assert isinstance(sampler, Renoise)
    assert (sampler.times, sampler.eta, sampler.noise_scale) == ((0.1, 0.6), 0, 1)


def test_times_that_are_not_as_many_as_the_steps_are_refused() -> None:
    with pytest.raises(FewstepError, match=r"times must be 2 rising numbers"):
        roll_out = {"times": [0.1, 0.6, 0.9]}
        parse_matrix(matrix_content(domains={"protein": {"student": {"roll_out": roll_out}}}))
