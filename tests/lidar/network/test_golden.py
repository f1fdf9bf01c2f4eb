"""Contract: encoder, noise predictor and refinement equal LiDiff's networks.

Predicted noise to 1e-3, all else in float32 to 1e-4 (inner features: of their largest value),
losses in training mode to 1e-4 and gradients to 5e-3. Names and shapes are the checkpoints'.
"""

import json
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lidar.clouds import voxel_cloud
from safetensors.torch import load_file
from torch import Tensor, nn

from domains.errors import FewstepError
from domains.lidar.network import ConditionEncoder, NetworkConfig, NoisePredictor, Refinement
from domains.lidar.network.embedding import timestep_embedding
from domains.lidar.network.published import split
from domains.lidar.network.unet import STAGES
from domains.lidar.sparse import SparseTensor

WIDTHS = [0.25, 1]
Networks = tuple[ConditionEncoder, NoisePredictor, Refinement]
Choose = Callable[[Tensor], Tensor]
cloud_of = partial(voxel_cloud, size=0.05)


def recipe(name: str, like: Tensor) -> Tensor:
    """The golden weights of a parameter, from its name (see tests/golden/README.md)."""
    source = np.random.default_rng(zlib.crc32(name.encode()))
    z = torch.from_numpy(source.standard_normal(tuple(like.shape)).astype(np.float32))
    if name.endswith(".kernel"):
        return z * np.float32(1 / np.sqrt(like.shape[:-1].numel())) * 1.5
    if name.endswith(".bn.weight"):
        return 1 + np.float32(0.1) * z
    if like.dim() == 2:
        return z * np.float32(1 / np.sqrt(like.shape[1])) * 1.4
    return np.float32(0.1) * z


def load(golden: Path, width: float) -> tuple[Networks, dict[str, Tensor]]:
    file = golden / "lidar" / f"net_cr{width:g}.npz"
    buffers = file.with_name(f"net_cr{width:g}_bn_buffers.safetensors")
    whole = file.with_name(f"net_cr{width:g}_weights.safetensors")
    if not file.exists():
        pytest.skip(f"{file.name} is not among these golden values")
    with np.load(file) as arrays:
        values = {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()}
    given = split(load_file(whole if whole.exists() else buffers), file.name)
    config = NetworkConfig(width=width)
    networks = ConditionEncoder(config), NoisePredictor(config), Refinement(config)
    for network, prefix in zip(networks, ("partial_enc", "model", "model_refine"), strict=True):
        made = {name: recipe(name, value) for name, value in network.named_parameters()}
        network.load_state_dict({**made, **given[prefix]})
        network.eval()
    return networks, values


@pytest.fixture(scope="module", params=WIDTHS, ids=lambda width: f"cr{width}")
def case(golden: Path, request: pytest.FixtureRequest) -> tuple[Networks, dict[str, Tensor]]:
    return load(golden, request.param)


def keep(found: dict[str, Tensor], name: str, module: nn.Module) -> None:
    """Note a module's output, once it is computed."""

    def hook(_: nn.Module, __: tuple, out: SparseTensor | Tensor) -> None:
        found[name] = (out if isinstance(out, Tensor) else out.features).clone()

    module.register_forward_hook(hook)


def assert_features(found: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    for name, features in found.items():
        want = values[name]
        if len(want) != len(features):  # full width: a sample of the rows is stored
            features = features[:: max(1, len(features) // 64)]
        limit = 1e-4 * max(1.0, float(want.abs().max()))
        torch.testing.assert_close(features, want, atol=limit, rtol=0, msg=name)


@torch.no_grad()
def test_predicted_noise_with_condition_and_without(case) -> None:
    (encoder, model, _), values = case
    cloud, t = cloud_of(values["x_t"]), values["t"]
    found = model(cloud, t, encoder(cloud_of(values["part"])))
    torch.testing.assert_close(found, values["eps_cond"], atol=1e-3, rtol=0)
    found = model(cloud, t, encoder.unconditional(1))
    torch.testing.assert_close(found, values["eps_uncond"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_condition_and_time_embedding(case) -> None:
    (encoder, model, _), values = case
    for name, made in (
        ("part_feat", encoder(cloud_of(values["part"]))),
        ("part_feat_uncond", encoder.unconditional(1)),
    ):
        rows = torch.cat([made.voxels.scan[:, None], made.voxels.xyz], 1)
        assert torch.equal(rows, values[f"{name}_C"].long())
        assert_features({f"{name}_F": made.features}, values)
    embedded = timestep_embedding(values["t"], model.config.time_channels)
    torch.testing.assert_close(embedded, values["temb"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_refinement(case) -> None:
    (_, _, refinement), values = case
    found = refinement(cloud_of(values["x_t"])).flatten(1)
    torch.testing.assert_close(found, values["refine_offset"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_features_of_every_stage(case) -> None:
    (encoder, model, _), values = case
    found: dict[str, Tensor] = {}
    for prefix, network in (("enc", encoder), ("diff", model)):
        for module, part in network.named_modules():
            if f"tap.{prefix}.{module}.F" in values:
                keep(found, f"tap.{prefix}.{module}.F", part)
    model(cloud_of(values["x_t"]), values["t"], encoder(cloud_of(values["part"])))
    assert found.keys() == {name for name in values if name[:4] == "tap." and name[-2:] == ".F"}
    assert_features(found, values)


@torch.no_grad()
def test_factors_of_condition_and_time(case) -> None:
    (encoder, model, _), values = case
    if "tap.w_stage1" not in values:
        pytest.skip("the full golden set is needed: this one holds no factors")
    found: dict[str, Tensor] = {}
    for stage in STAGES:
        keep(found, f"tap.temp.{stage}", model.get_submodule(f"{stage}_temp"))
        keep(found, f"tap.w_{stage}", model.get_submodule(f"latemp_{stage}"))
    cloud, condition = cloud_of(values["x_t"]), encoder(cloud_of(values["part"]))
    model(cloud, values["t"], condition)
    for stage, level in zip(STAGES, (0, 1, 2, 3, 4, 3, 2, 1), strict=True):
        nearest = cloud.mean.pyramid.nearest(level, condition.voxels)
        found[f"tap.w_{stage}"] = found[f"tap.w_{stage}"][nearest]
    assert_features(found, values)


@pytest.fixture(scope="module")
def trained(golden: Path) -> dict[str, Any]:
    """One forward and backward pass in training mode, in float64."""
    (encoder, model, _), values = load(golden, 0.25)
    encoder.double().train(), model.double().train()
    points = {name: values[name].double() for name in ("part", "x_t")}
    out = model(cloud_of(points["x_t"]), values["t"], encoder(cloud_of(points["part"])))
    mse = (out - values["noise"][0]).pow(2).mean()
    loss = mse + 5 * (out.mean() ** 2 + (out.std() - 1) ** 2)
    loss.backward()
    gradients = {
        f"{prefix}.{name}": parameter.grad
        for prefix, network in (("partial_enc", encoder), ("model", model))
        for name, parameter in network.named_parameters()
    }
    mean = encoder.stem[1].bn.running_mean
    results = {"out": out.detach(), "mse": mse.detach(), "loss": loss.detach(), "mean": mean}
    return {**results, "gradients": gradients, "values": values}


def test_training_mode(trained: dict[str, Any]) -> None:
    values = trained["values"]
    torch.testing.assert_close(trained["out"].float(), values["train_eps"][0], atol=1e-3, rtol=0)
    torch.testing.assert_close(trained["mse"], values["train_loss_mse"], atol=1e-4, rtol=0)
    torch.testing.assert_close(trained["loss"], values["train_loss"], atol=1e-4, rtol=0)
    mean = values["train_enc_bn1_running_mean_after"]
    torch.testing.assert_close(trained["mean"].float(), mean)


def assert_gradients(found: dict[str, Tensor], expected: dict[str, Tensor], part: Choose) -> None:
    """Compare what ``part`` makes of each gradient; without influence both are zero."""
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        want = expected[name].double()
        error = (part(gradient) - want).norm()
        assert error <= 5e-3 * want.norm() + 1e-6, f"{name}: {error:.1e} of {want.norm():.1e}"


def test_all_gradients(golden: Path, trained: dict[str, Any]) -> None:
    file = golden / "lidar" / "net_cr0.25_grads.safetensors"
    if not file.exists():
        pytest.skip(f"the full golden set is needed: this one has no {file.name}")
    assert_gradients(trained["gradients"], load_file(file), lambda gradient: gradient)


def test_sample_of_each_gradient(golden: Path, trained: dict[str, Any]) -> None:
    file = golden / "lidar" / "net_cr0.25_grad_sample.npz"
    if not file.exists():
        pytest.skip(f"{file.name} is not among these golden values")
    with np.load(file) as content:
        names, norms, entries = (content[key] for key in ("names", "norms", "entries"))
    sample = dict(zip(map(str, names), torch.from_numpy(entries), strict=True))
    whole = dict(zip(map(str, names), torch.from_numpy(norms), strict=True))
    assert_gradients(trained["gradients"], whole, lambda gradient: gradient.norm())
    found = {name: sampled(gradient) for name, gradient in trained["gradients"].items()}
    for name, got in found.items():
        scale = float(whole[name]) / trained["gradients"][name].numel() ** 0.5
        limit = 5e-3 * max(scale, float(sample[name].abs().max())) + 1e-6
        torch.testing.assert_close(got, sample[name].double(), atol=limit, rtol=0, msg=name)


def sampled(gradient: Tensor) -> Tensor:
    """Sixteen entries, evenly spaced from first to last."""
    return gradient.flatten()[np.linspace(0, gradient.numel() - 1, 16).astype(int)]


def test_recipe_gives_the_stored_weights(golden: Path) -> None:
    file = golden / "lidar" / "net_cr0.25_weights.safetensors"
    if not file.exists():
        pytest.skip(f"the full golden set is needed: this one has no {file.name}")
    stored = split(load_file(file), file.name)
    for network in stored.values():
        for name, weight in network.items():
            if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
                assert torch.equal(recipe(name, weight), weight), name


def test_names_and_shapes_are_those_of_the_checkpoints(golden: Path) -> None:
    manifest = json.loads((golden / "lidar" / "state_dict_manifest_cr0.25.json").read_text())
    (encoder, model, refinement), _ = load(golden, 0.25)
    ours = {
        f"{prefix}.{name}": list(value.shape)
        for prefix, network in (
            ("partial_enc", encoder),
            ("model", model),
            ("model_refine", refinement),
        )
        for name, value in network.state_dict().items()
    }
    theirs = {name: shape for name, (shape, _) in manifest.items()}
    assert ours == theirs


@torch.no_grad()
def test_scans_of_a_batch_do_not_see_each_other(golden: Path) -> None:
    (encoder, model, _), values = load(golden, 0.25)
    # In float64: the networks were not made for the mirror image, and their output explodes.
    encoder.double(), model.double()
    mirror = torch.tensor([1.0, -1.0, 1.0])
    part = torch.cat([values["part"], values["part"] * mirror]).double()
    x_t = torch.cat([values["x_t"], values["x_t"] * mirror]).double()
    t = values["t"] + torch.tensor([0, 9])
    together = model(cloud_of(x_t), t, encoder(cloud_of(part)))
    for k, found in enumerate(together.chunk(2)):
        one = slice(k, k + 1)
        alone = model(cloud_of(x_t[one]), t[one], encoder(cloud_of(part[one])))
        limit = 1e-9 * float(alone.abs().max())
        torch.testing.assert_close(found, alone, atol=limit, rtol=0)


def test_too_few_timesteps_are_refused(golden: Path) -> None:
    (encoder, model, _), values = load(golden, 0.25)
    part = torch.cat([values["part"]] * 2)
    with pytest.raises(FewstepError, match="more scans than timesteps"):
        model(cloud_of(part), values["t"], encoder(cloud_of(part)))


def test_unknown_prefix_is_named() -> None:
    weight = nn.Linear(2, 2).weight
    with pytest.raises(FewstepError, match=r"decoder\.x"):
        split({"decoder.x": weight}, "file")
