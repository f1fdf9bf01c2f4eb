"""Contract: clean points are x_t − σ ε with the predictor's ε; a scan never sees another.

Padding is 0 and changes nothing. The condition is encoded once. Only the part that a
teacher's training trains ever leaves evaluation mode. The canonical form gives the model back.
"""

import copy
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from lidar.clouds import voxel_cloud
from lidar.tiny_denoiser import scans, tiny_denoiser
from safetensors.torch import load_file
from tiny_run import LIDAR_NETWORK
from torch import Tensor, nn

from domains.batch import Batch
from domains.errors import FewstepError
from domains.files.model_files import read_model
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.local_noise import time_of
from domains.lidar.losses.noise_loss import noise_loss
from domains.lidar.network.published import split

STEPS = torch.tensor([900, 150])
TIME = time_of(STEPS)
cloud_of = partial(voxel_cloud, size=LIDAR_NETWORK["voxel_size"])


@pytest.fixture
def batch() -> Batch:
    return scans()


def noisy_of(batch: Batch) -> Tensor:
    assert batch.points is not None
    return batch.points + torch.randn(batch.shape, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="module")
def clean(model: LidarDenoiser) -> Tensor:
    """What the model makes of the noisy points."""
    with torch.no_grad():
        return model(noisy_of(scans()), TIME, scans())


def row(batch: Batch, k: int) -> Batch:
    """One scan of a batch, without ground truth and place."""
    partial = batch.condition["partial"][k : k + 1]
    return Batch(mask=batch.mask[k : k + 1], condition={"partial": partial})


def gradient_norm(network: nn.Module) -> float:
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return float(nn.utils.get_total_norm(gradients))


# What it computes


@torch.no_grad()
def test_clean_points_are_the_noisy_ones_without_the_predicted_noise(
    model: LidarDenoiser, batch: Batch, clean: Tensor
) -> None:
    noisy = noisy_of(batch)
    survival = np.cumprod(1 - np.linspace(3.5e-5, 7e-3, 1000))
    for k, step in enumerate(STEPS):
        condition = model.encoder(cloud_of(batch.condition["partial"][k]))
        predicted = model.predictor(cloud_of(noisy[k]), step[None], condition)
        expected = noisy[k] - float(np.sqrt(1 - survival[step])) * predicted
        torch.testing.assert_close(clean[k], expected, atol=1e-4, rtol=1e-4)
    assert (clean - noisy).abs().max() > 0.1


@torch.no_grad()
def test_scans_of_a_batch_do_not_see_each_other(
    model: LidarDenoiser, batch: Batch, clean: Tensor
) -> None:
    noisy = noisy_of(batch)
    for k in range(2):
        alone = model(noisy[k : k + 1], TIME[k : k + 1], row(batch, k))
        torch.testing.assert_close(clean[k : k + 1], alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_padding_is_zero_and_changes_nothing(model: LidarDenoiser, batch: Batch) -> None:
    noisy, short = noisy_of(batch), 120
    mask = batch.mask.clone()
    mask[1, short:] = False
    padded = replace(batch, mask=mask)
    noisy[1, short:] = torch.nan  # whatever stands there
    found = model.noise(noisy, TIME, padded)
    assert (found[1, short:] == 0).all() and found.isfinite().all()
    alone = replace(row(batch, 1), mask=torch.ones(1, short, dtype=torch.bool))
    expected = model.noise(noisy[1:, :short], TIME[1:], alone)
    torch.testing.assert_close(found[1:, :short], expected, atol=1e-4, rtol=1e-4)
    assert (model(noisy.nan_to_num(9), TIME, padded)[1, short:] == 0).all()


@torch.no_grad()
def test_encoding_once_changes_nothing(
    model: LidarDenoiser, batch: Batch, clean: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = model.encode(batch)
    assert model.encode(encoded) is encoded
    monkeypatch.setattr(model.encoder, "forward", None)
    assert torch.equal(model(noisy_of(batch), TIME, encoded), clean)


@torch.no_grad()
def test_knowing_nothing_is_a_scan_of_one_point_at_the_sensor(
    model: LidarDenoiser, batch: Batch, clean: Tensor
) -> None:
    noisy = noisy_of(batch)
    nothing = model(noisy, TIME, replace(batch, condition={}))
    point = model(noisy, TIME, replace(batch, condition={"partial": torch.zeros(2, 1, 3)}))
    torch.testing.assert_close(nothing, point)
    assert (nothing - clean).abs().max() > 0.01


@torch.no_grad()
def test_refined_points_lie_around_each_point(model: LidarDenoiser, batch: Batch) -> None:
    points = batch.condition["partial"][0]
    assert model.refinement is not None
    found = model.refine(points).reshape(40, 6, 3) - points[:, None]
    torch.testing.assert_close(found, model.refinement(cloud_of(points)), atol=1e-5, rtol=0)
    with pytest.raises(FewstepError, match="no refinement network"):
        tiny_denoiser().refine(points)


@torch.no_grad()
def test_golden_noise(golden: Path) -> None:
    file = golden / "lidar" / "net_cr0.25_weights.safetensors"
    if not file.exists():
        pytest.skip(f"the full golden set is needed: this one has no {file.name}")
    parts = split(load_file(file), file.name)
    names = {"partial_enc": "encoder", "model": "predictor", "model_refine": "refinement"}
    weights = {
        f"{ours}.{name}": value
        for theirs, ours in names.items()
        for name, value in parts[theirs].items()
        if value.is_floating_point()
    }
    golden_model = LidarDenoiser.build(
        weights, {"network": {"width": 0.25}, "refined": True}, file.name
    )
    with np.load(file.with_name("net_cr0.25.npz")) as arrays:
        part, noisy, step, expected = (
            torch.from_numpy(arrays[name]) for name in ("part", "x_t", "t", "eps_cond")
        )
    mask = torch.ones(noisy.shape[:2], dtype=torch.bool)
    found = golden_model.noise(noisy, time_of(step), Batch(mask, condition={"partial": part}))
    torch.testing.assert_close(found[0], expected, atol=1e-3, rtol=0)


# How it is trained


def test_gradients_reach_the_encoder_unless_the_condition_is_given_encoded(batch: Batch) -> None:
    noisy = noisy_of(batch)
    for given in (True, False):
        model = tiny_denoiser()
        with torch.no_grad():
            told = model.encode(batch) if given else batch
        model(noisy, TIME, told).square().mean().backward()
        assert all(p.grad is not None for p in model.predictor.parameters())
        assert gradient_norm(model.predictor) > 0
        assert all((p.grad is None) == given for p in model.encoder.parameters())


@pytest.mark.parametrize("part", [None, "denoiser", "refinement"])
def test_only_the_part_that_is_trained_leaves_evaluation_mode(part) -> None:
    model = tiny_denoiser(refined=True)
    model.training_part = part
    trained = {None: (), "denoiser": ("encoder", "predictor"), "refinement": ("refinement",)}[part]
    assert model.train() is model and model.training
    for name, module in model.named_modules():
        if name:
            assert module.training == (name.partition(".")[0] in trained), name
    assert not any(module.training for module in model.eval().modules())


@torch.no_grad()
def test_statistics_of_a_loaded_model_never_change(batch: Batch, tmp_path: Path) -> None:
    tiny_denoiser(refined=True).save(tmp_path)
    model = LidarDenoiser.load(tmp_path).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(noisy_of(batch), TIME, batch)
    model.refine(batch.condition["partial"][0])
    assert before and all(torch.equal(v, before[name]) for name, v in model.named_buffers())


def test_without_condition_gradients_in_training_are_of_ordinary_size(batch: Batch) -> None:
    """Normalised by its own statistics, one point has no variance, and gradients explode."""
    assert batch.points is not None
    noisy, norms = noisy_of(batch), []
    for told in (batch, replace(batch, condition={})):
        model = tiny_denoiser()
        model.training_part = "denoiser"
        before = copy.deepcopy(model.train().encoder.state_dict())
        noise_loss(model.noise(noisy, TIME, told), noisy - batch.points).backward()
        norms.append(gradient_norm(model))
        kept = all(torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())
        assert kept == (not told.condition)
        assert all(module.training for module in model.encoder.modules())
    assert 0 < norms[1] < 10 * norms[0]


# What is written


@torch.no_grad()
def test_model_survives_writing(
    model: LidarDenoiser, batch: Batch, clean: Tensor, tmp_path: Path
) -> None:
    model.save(tmp_path, note="here")
    assert read_model(tmp_path)[1]["provenance"] == {"note": "here"}
    loaded = LidarDenoiser.load(tmp_path)
    assert loaded.config == model.config and not loaded.training
    assert torch.equal(loaded(noisy_of(batch), TIME, batch), clean)
    found = loaded.state_dict_of_floats()
    assert all(torch.equal(found[k], v) for k, v in model.state_dict_of_floats().items())
    tiny_denoiser().save(tmp_path)
    assert LidarDenoiser.load(tmp_path).refinement is None


def test_half_precision_rounds_once_and_computes_in_single(tmp_path: Path) -> None:
    model = tiny_denoiser()
    model.save(tmp_path, half=True)
    assert {value.dtype for value in read_model(tmp_path)[0].values()} == {torch.float16}
    loaded = LidarDenoiser.load(tmp_path).state_dict_of_floats()
    for name, value in model.state_dict_of_floats().items():
        assert torch.equal(loaded[name], value.half().float())
        assert loaded[name].dtype == torch.float32


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", r"predictor\.last\.0\.bias: expected \(20,\), got none"),
        ("extra", r"predictor\.other: expected no such tensor, got \(2,\)"),
        ("refinement", r"refinement\.last\.0\.bias: expected \(20,\), got none"),
        ("width", r"encoder\.stage1\.0\.net\.0\.kernel: expected \(8, 8, 8\), got \(8, 4, 4\)"),
    ],
)
def test_weights_must_fit(damage: str, message: str) -> None:
    model = tiny_denoiser()
    weights, content = model.state_dict_of_floats(), model.describe()
    if damage == "missing":
        del weights["predictor.last.0.bias"]
    elif damage == "extra":
        weights["predictor.other"] = torch.zeros(2)
    elif damage == "refinement":
        content["refined"] = True
    else:
        content["network"] = LIDAR_NETWORK | {"width": 0.25}
    with pytest.raises(FewstepError, match=f"^weights of here do not fit .*{message}") as refused:
        LidarDenoiser.build(weights, content, "here")
    assert "\n" not in str(refused.value)
