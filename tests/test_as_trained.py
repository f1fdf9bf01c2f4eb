"""Contract: `sampler: as_trained` is the sampler that a student had in training, written out."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_run import content

from domains.config import advice, parse_config
from domains.distillation.sampling.settings import Renoise
from domains.errors import FewstepError
from domains.stages.at_hand import trained_sampler

TRAINED: dict[str, Any] = {"steps": 4, "eta": 0, "self_conditioning": True, "noise_scale": 1}


def one_set(model: Any, **more: Any) -> dict[str, Any]:
    set_of = {"model": model, "sampler": "as_trained"}
    return content(**more) | {"sets": {"made": set_of}}


def test_a_student_of_the_run_is_sampled_by_its_roll_out():
    student = {"roll_out": TRAINED, "validation_noise_scale": 1}
    run = parse_config(one_set("student", students={"student": student}))
    assert run.sets["made"].sampler == Renoise(**TRAINED)
    assert advice(run) == []
    # The settings that a run keeps say it in full, so no job has to look it up.
    assert parse_config(yaml.safe_load(run.model_dump_json())) == run


def test_a_finished_student_is_sampled_as_its_file_says():
    run = parse_config(one_set("mine", models={"mine": "proteina-small-8"}))
    assert run.sets["made"].sampler == trained_sampler("proteina-small-8")
    assert advice(run) == []


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("teacher", "'teacher' is neither"),
        ("finished", "'finished' is neither"),
        ("absent", r"there is no checkpoint .*nowhere"),
        ("checkpoint", r"models\.checkpoint: as_trained looks into model.json, and there is none"),
        (["student"], r"\['student'\] is neither"),
    ],
    ids=str,
)
def test_what_is_no_student_is_one_line(model: Any, words: str, tmp_path: Path):
    (tmp_path / "some.ckpt").touch()
    models = {"finished": "proteina-small", "absent": str(tmp_path / "nowhere")}
    models["checkpoint"] = str(tmp_path / "some.ckpt")
    with pytest.raises(FewstepError, match=words):
        parse_config(one_set(model, models=models))


def test_another_word_is_told_the_right_one():
    wrong = {"sets": {"made": {"model": "teacher", "sampler": "as-trained"}}}
    with pytest.raises(FewstepError, match=r"expected as_trained, or .* got 'as-trained'"):
        parse_config(content() | wrong)


def test_a_wrong_roll_out_is_told_where_it_stands():
    students = {"student": {"roll_out": {"steps": "many"}}}
    with pytest.raises(FewstepError, match=r"students\.student\.roll_out\.steps"):
        parse_config(one_set("student", students=students))
