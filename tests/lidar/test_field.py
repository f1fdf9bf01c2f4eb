"""Contract: what is particular to scenes; what every domain does is in test_domain_contract."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lidar.tiny_denoiser import scans, tiny_denoiser
from tiny_run import LIDAR_NETWORK

from domains.batch import Batch, Request, Sample
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.files.model_files import read_model
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.field import FIELD
from domains.lidar.files import read_points
from domains.lidar.settings import LidarPretrain


def pretrain(**changes: Any) -> LidarPretrain:
    return LidarPretrain.model_validate({"network": LIDAR_NETWORK, "fit": {"steps": 1}, **changes})


def new(seed: int = 0, **changes: Any) -> LidarDenoiser:
    made = FIELD.new(pretrain(**changes), seed)
    assert isinstance(made, LidarDenoiser)
    return made


@pytest.fixture(scope="module")
def plain() -> LidarDenoiser:
    return tiny_denoiser()


# From points to a finished completion


def case() -> tuple[torch.Tensor, Request, torch.Tensor]:
    """Points of a completion, its request, and which of them count by LiDiff's rule."""
    source = torch.Generator().manual_seed(0)
    scan = torch.randn(40, 3, generator=source) * torch.tensor([10.0, 10.0, 1.0])
    points = torch.randn(500, 3, generator=source) * torch.tensor([30.0, 30.0, 2.0])
    z = scan[:, 2]
    kept = (points.norm(dim=1) < 50) & (points[:, 2] > z.mean() - 2 * z.std())
    kept &= points[:, 2] < z.max()
    assert 50 < kept.sum() < 450
    return points, Request("a", 500, {"partial": scan}), kept


def test_a_completion_is_cropped_by_its_scan(model: LidarDenoiser) -> None:
    points, request, kept = case()
    assert torch.equal(FIELD.finish(model, points, request, False), points[kept])


@torch.no_grad()
def test_a_refined_completion_has_six_points_for_each(model: LidarDenoiser) -> None:
    points, request, kept = case()
    found = FIELD.finish(model, points, request, True)
    assert found.shape == (6 * int(kept.sum()), 3)
    assert torch.equal(found, model.refine(points[kept]))


def test_a_model_without_refinement_cannot_refine(plain: LidarDenoiser) -> None:
    points, request, _ = case()
    with pytest.raises(FewstepError, match=r"no refinement network.*train one"):
        FIELD.finish(plain, points, request, True)


def test_a_completion_of_which_nothing_counts_stays_empty(model: LidarDenoiser) -> None:
    _, request, _ = case()
    far = torch.full((5, 3), 40.0)
    for refine in (False, True):
        assert FIELD.finish(model, far, request, refine).shape == (0, 3)


# Files


def test_files_of_all_formats(tmp_path: Path) -> None:
    points = scans(1).points
    assert points is not None
    sample = Sample("a", points[0])
    assert FIELD.write(sample, tmp_path / "few", {}) == ["a.ply"]
    every = FIELD.write(sample, tmp_path, {"formats": ("cif", "png", "bin", "pcd")})
    assert every == ["a.ply", "a.pcd", "a.bin", "a_bird.png", "a_perspective.png"]
    for name in every[:3]:
        np.testing.assert_array_equal(read_points(tmp_path / name), points[0].numpy())
    for name in every[3:]:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n")
    assert torch.equal(FIELD.read(tmp_path / "a.ply").points, points[0])


@pytest.mark.parametrize("points", [torch.full((5, 3), torch.nan), torch.zeros(0, 3)])
def test_points_that_cannot_be_read_again_are_not_written(
    points: torch.Tensor, tmp_path: Path
) -> None:
    with pytest.raises(FewstepError, match=r"a\.ply"):
        FIELD.write(Sample("a", points), tmp_path, {"formats": ("bin", "png")})
    assert not list(tmp_path.iterdir())


# Models


def test_checkpoint_and_directory_are_prepared(plain: LidarDenoiser, tmp_path: Path) -> None:
    parts = {"partial_enc": plain.encoder, "model": plain.predictor}
    state = {f"{k}.{name}": v for k, part in parts.items() for name, v in part.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "net.ckpt")
    FIELD.prepare(tmp_path / "net.ckpt", tmp_path / "a", {"network": LIDAR_NETWORK})
    FIELD.prepare(tmp_path / "a", tmp_path / "b", {"half": True})
    expected = plain.state_dict_of_floats()
    for name, kind in (("a", torch.float32), ("b", torch.float16)):
        weights, content = read_model(tmp_path / name)
        assert content["provenance"] == {"source": "net.ckpt"}
        assert weights.keys() == expected.keys()
        assert all(torch.equal(v, expected[k].to(kind)) for k, v in weights.items())


def test_a_new_refinement_is_trained_alone() -> None:
    model = new(part="refinement")
    assert {name.partition(".")[0] for name, p in model.named_parameters() if p.requires_grad} == {
        "refinement"
    }
    loss = FIELD.teacher_loss(model, FIELD.process(model), scans(), Draws((0,)))
    assert set(loss.diagnostics) == {"chamfer_squared"}
    denoiser = new()
    assert denoiser.refinement is None
    loss = FIELD.teacher_loss(denoiser, FIELD.process(denoiser), scans(), Draws((0,)))
    assert "noise" in loss.diagnostics


def test_training_goes_on_from_an_earlier_model() -> None:
    earlier, model = tiny_denoiser(seed=1, refined=True), new(part="refinement")
    fresh, without = new(part="refinement"), copy.deepcopy(earlier)
    without.refinement = None
    FIELD.start(model, without)
    old, untouched = earlier.state_dict(), fresh.state_dict()
    for name, value in model.state_dict().items():
        source = untouched if name.startswith("refinement.") else old
        assert torch.equal(value, source[name]), name
    FIELD.start(model, earlier)
    assert all(torch.equal(v, old[name]) for name, v in model.state_dict().items())
    with pytest.raises(FewstepError, match="another architecture"):
        FIELD.start(model, tiny_denoiser(width=0.25))


@torch.no_grad()
def test_the_unconditional_denoiser_is_not_told_the_scan(model: LidarDenoiser) -> None:
    batch, time = scans(), torch.tensor([0.2, 0.6])
    assert batch.points is not None
    told = FIELD.encode(model, batch)
    assert set(told.condition) == {"partial", "encoded"}
    found = FIELD.unconditional(model)(batch.points, time, told)
    assert torch.equal(found, model(batch.points, time, Batch(mask=batch.mask)))


def test_nearer_completions_are_preferred() -> None:
    batch = scans()
    assert batch.points is not None
    order = [FIELD.preference()(batch.points + away, batch) for away in (0.0, 0.1, 0.3)]
    assert torch.equal(order[0], torch.zeros(2))
    assert (order[0] > order[1]).all() and (order[1] > order[2]).all()
