"""Contract: files of LiDiff and Distillation-DPO give the networks that they were made from.

All other files are one line of error, and nothing in a file ever runs.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from lidar.tiny_denoiser import scans, tiny_denoiser
from tiny_run import LIDAR_NETWORK
from torch import Tensor, nn

from domains.errors import FewstepError
from domains.lidar.checkpoint import read_teacher
from domains.lidar.denoiser import LidarDenoiser

OPTIONS = {"network": LIDAR_NETWORK}
TIME = torch.tensor([0.3, 0.8])


def named(**networks: nn.Module | None) -> dict[str, Tensor]:
    """A state dict of networks under their names, with the counters of batches."""
    return {
        f"{prefix}.{name}": value
        for prefix, network in networks.items()
        if network is not None
        for name, value in network.state_dict().items()
    }


def lidiff(model: LidarDenoiser) -> dict[str, Tensor]:
    return named(partial_enc=model.encoder, model=model.predictor)


def save(path: Path, state: Any, **beside: Any) -> Path:
    torch.save({"state_dict": state, **beside}, path)
    return path


def refused(source: Path, message: str, **options: Any) -> None:
    with pytest.raises(FewstepError, match=message) as error:
        read_teacher(source, OPTIONS | options)
    assert "\n" not in str(error.value)


def assert_same(found: LidarDenoiser, expected: LidarDenoiser) -> None:
    """Compare encoder and predictor; what they compute is compared once, below."""
    assert not found.training
    ours, theirs = found.state_dict_of_floats(), expected.state_dict_of_floats()
    for name, value in theirs.items():
        assert name.startswith("refinement.") or torch.equal(ours[name], value), name


def test_file_of_lidiff(model: LidarDenoiser, tmp_path: Path) -> None:
    state = lidiff(model)
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}
    found = read_teacher(save(tmp_path / "diff.ckpt", state, epoch=20), OPTIONS)
    assert found.refinement is None
    assert_same(found, model)


def test_directory_with_the_refinement_in_a_file_of_its_own(
    model: LidarDenoiser, tmp_path: Path
) -> None:
    save(tmp_path / "diff_net.ckpt", lidiff(model))
    save(tmp_path / "refine_net.ckpt", named(model_refine=model.refinement))
    found = read_teacher(tmp_path, OPTIONS)
    batch = scans()
    assert batch.origin is not None
    with torch.no_grad():
        noise = (each.noise(batch.origin, TIME, batch) for each in (found, model))
        refined = (each.refine(batch.origin[0]) for each in (found, model))
        assert torch.equal(*noise) and torch.equal(*refined)


@pytest.mark.parametrize("wrapped", [True, False])
def test_file_of_distillation_dpo_gives_the_student(
    wrapped: bool, model: LidarDenoiser, tmp_path: Path
) -> None:
    teacher = tiny_denoiser(seed=1)
    state = named(generator=model.predictor, DiffModel=teacher.predictor, DM_encoder=model.encoder)
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "a.ckpt")
    assert_same(read_teacher(tmp_path / "a.ckpt", OPTIONS), model)


@pytest.mark.parametrize("width", [0.125, 0.25])
def test_width_is_read_off_the_weights(width: float, tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", lidiff(tiny_denoiser(width=width)))
    found = read_teacher(path, {}).config
    assert (found.width, found.voxel_size, found.points) == (width, 0.05, 180_000)


def test_weights_outlive_the_file(model: LidarDenoiser, tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", lidiff(model))
    found = read_teacher(path, OPTIONS)
    path.write_bytes(b"\xff" * path.stat().st_size)
    assert_same(found, model)


def test_weights_of_another_width_name_a_tensor(model: LidarDenoiser, tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", lidiff(model))
    refused(path, r"do not fit its architecture: encoder\.\S+:", network={"width": 0.25})


@pytest.mark.parametrize("missing", ["partial_enc", "model"])
def test_a_missing_network_is_named(missing: str, model: LidarDenoiser, tmp_path: Path) -> None:
    state = {k: v for k, v in lidiff(model).items() if not k.startswith(f"{missing}.")}
    refused(save(tmp_path / "a.ckpt", state), "no teacher.*expected weights of partial_enc and")


def test_files_of_other_content_are_refused(model: LidarDenoiser, tmp_path: Path) -> None:
    state = lidiff(model)
    refused(tmp_path / "none.ckpt", "no file")
    refused(tmp_path, "no teacher.*got no network")
    refused(save(tmp_path / "a.ckpt", state | {"vae.x": torch.ones(1)}), r"got vae\.x")
    refused(save(tmp_path / "b.ckpt", state | {"model.x": 3}), r"more than tensors.*model\.x")
    nan = {"model.last.0.bias": torch.full((20,), torch.nan)}
    refused(save(tmp_path / "c.ckpt", state | nan), r"model\.last\.0\.bias .*not finite")
    whole = {"model.x": torch.ones(2, dtype=torch.int32)}
    refused(save(tmp_path / "d.ckpt", state | whole), r"model\.x .*floating-point")
    refused(save(tmp_path / "e.ckpt", [1.0]), "holds no weights")
    refused(save(tmp_path / "f.ckpt", {}), "no weights")


def test_an_encoder_without_its_stem_is_refused(model: LidarDenoiser, tmp_path: Path) -> None:
    state = {k: v for k, v in lidiff(model).items() if k != "partial_enc.stem.0.kernel"}
    refused(save(tmp_path / "a.ckpt", state), "no encoder stem", network=None)
    state["partial_enc.stem.0.kernel"] = torch.ones(27, 3, 0)
    refused(save(tmp_path / "a.ckpt", state), "width", network=None)


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_refused(
    kept: float, model: LidarDenoiser, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.ckpt", lidiff(model))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refused(path, r"a\.ckpt")


class Harmful:
    """Unpickled in the ordinary way, it makes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


def test_nothing_in_a_file_runs(model: LidarDenoiser, tmp_path: Path) -> None:
    marker, state = tmp_path / "ran", lidiff(model)
    harm = Harmful(marker)
    assert_same(read_teacher(save(tmp_path / "a.ckpt", state, callbacks=harm), OPTIONS), model)
    refused(save(tmp_path / "b.ckpt", state | {"model.x": harm}), r"model\.x")
    refused(save(tmp_path / "c.ckpt", harm), "no weights")
    assert not marker.exists()
    torch.load(tmp_path / "c.ckpt", weights_only=False)
    assert marker.exists()  # the harm is real
