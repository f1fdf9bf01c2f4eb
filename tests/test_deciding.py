"""Contract: what decides a training is written as it was, or every finished student is made again.

A new key that no run gives is left out of it: ``Field(exclude_if=...)``. Where this test has to
be changed, CHANGELOG.md says what recomputes.
"""

import json

from markdown_pages import ROOT

from domains.config import load_config
from domains.config.training import deciding
from domains.distillation.objectives.consistency import ConsistencyConfig

# As of 2026-11-28.
STUDENT = {
    "seed": None,
    "start": "proteina-small-8",
    "objective": "kind substeps huber align step_weights drawn_steps last_until scale",
    "roll_out": "steps noise_scale eta times self_conditioning each_sample",
    "batch_size": 4,
    "fake_updates": 1,
    "reset_fake_every": 0,
    "student": "rate beta1 beta2 clip schedule warmup floor period",
    "fake": "rate beta1 beta2 clip schedule warmup floor period",
    "teacher_noise_scale": 1.0,
    "teacher_rescale": "sharpness spread",
    "teacher_asked_twice": False,
    "teacher_guidance": 1.0,
    "teacher_autoguidance": 0.0,
    "fake_guidance": 1.0,
    "fake_training_guidance": 1.0,
    "degradation": None,
    "validation_samples": 16,
    "validation_noise_scale": 1.0,
    "fit": "steps network_calls seconds accumulate ema precision validate_every validations",
    "lengths": "low high block",
    "fold": None,
}


def test_the_demo_is_decided_by_the_same_keys_in_the_same_order() -> None:
    run = load_config(ROOT / "workflows/config/demo/protein_demo.yaml")
    written = json.loads(deciding(run.students["student"]))
    found = {k: " ".join(v) if isinstance(v, dict) else v for k, v in written.items()}
    assert list(found.items()) == list(STUDENT.items())


def test_plain_consistency_is_written_as_before_it_had_segments() -> None:
    assert list(ConsistencyConfig().model_dump()) == ["kind", "grid", "huber", "scale"]
    assert ConsistencyConfig(segments=(2, 1)).model_dump()["segments"] == (2, 1)
