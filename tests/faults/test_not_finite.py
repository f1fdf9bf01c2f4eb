"""Contract: NaN in data or weights stops training at once, by name, and nothing of it is saved."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import NETWORK, write_config

from domains.batch import Batch
from domains.distillation.training.distiller import Distiller
from domains.errors import FewstepError
from domains.files.provenance import sha256
from domains.protein.field import ProteinField
from domains.stages.pretrain import pretrain

BAD = 3


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    section = {
        "network": NETWORK,
        "lengths": {"low": 40, "high": 44},
        "residues_per_batch": 100,
        "fit": {"steps": 6, "checkpoint_every": 1},
    }
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    return write_config(path, teacher="pretrain", pretrain=section)


@pytest.fixture(scope="module")
def undisturbed(config: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Checksum of the weights of a training without a fault."""
    root = tmp_path_factory.mktemp("undisturbed")
    pretrain(config, root / "state", root / "teacher")
    return sha256(root / "teacher/model.safetensors")


def spoil_batch(patch: pytest.MonkeyPatch) -> None:
    """One coordinate of one batch is NaN, as after a bad read."""
    make = ProteinField.training_batches

    def spoilt(self: ProteinField, *rest: Any) -> Callable[..., Batch]:
        batches = make(self, *rest)

        def batch(index: int, draws: Any) -> Batch:
            good = batches(index, draws)
            if index != BAD:
                return good
            assert good.points is not None
            points = good.points.clone()
            points[0, 3, 1] = float("nan")
            return replace(good, points=points)

        return batch

    patch.setattr(ProteinField, "training_batches", spoilt)


def spoil_weight(patch: pytest.MonkeyPatch) -> None:
    """A weight becomes NaN between two steps, as by a fault of memory."""
    step = Distiller.training_step

    def spoilt(self: Distiller, number: int, index: int) -> None:
        if number == BAD:
            with torch.no_grad():
                next(self.student.parameters()).view(-1)[0] = float("nan")
        step(self, number, index)

    patch.setattr(Distiller, "training_step", spoilt)


@pytest.mark.parametrize("spoil", [spoil_batch, spoil_weight])
def test_training_stops_by_name_and_goes_on_when_the_fault_is_gone(
    tmp_path: Path, config: Path, undisturbed: str, spoil: Callable[[pytest.MonkeyPatch], None]
) -> None:
    state, teacher = tmp_path / "state", tmp_path / "teacher"
    with pytest.MonkeyPatch.context() as patch:
        spoil(patch)
        with pytest.raises(FewstepError, match=rf"step {BAD}, role student, term loss"):
            pretrain(config, state, teacher)
    assert not teacher.exists()
    newest = max((state / "state").glob("*.pt"))
    assert newest.stem == f"step-{BAD:09d}"
    saved = torch.load(newest, weights_only=True)["networks"]["student"]
    assert all(value.isfinite().all() for value in saved.values())
    pretrain(config, state, teacher)
    assert sha256(teacher / "model.safetensors") == undisturbed
