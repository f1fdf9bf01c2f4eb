"""Contract: the refinement learns from scenes whose points were moved by up to 0.3 m.

Its loss is the squared Chamfer distance, averaged over scenes; nothing else is trained.
"""

import pytest
import torch
from lidar.tiny_denoiser import scans
from torch import Tensor

from domains.distillation.roles import Draws
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.losses.refinement_loss import refinement_loss


def test_loss_is_the_distance_of_jittered_scenes(model: LidarDenoiser, monkeypatch) -> None:
    batch, given = scans(20), []
    assert batch.points is not None

    def keep(points: Tensor) -> Tensor:
        given.append(points)
        return points

    monkeypatch.setattr(model, "refine", keep)
    loss = refinement_loss(model, batch, Draws((0,)))
    away = torch.stack(given) - batch.points
    assert away.abs().max() == pytest.approx(0.3, abs=1e-5)
    # Of 0.2 z cut at 1.5 standard deviations.
    assert away.std() == pytest.approx(0.1765, abs=0.004)
    nearest = torch.cdist(torch.stack(given), batch.points).square()
    expected = nearest.amin(2).mean() + nearest.amin(1).mean()
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(loss.diagnostics["chamfer_squared"], loss.value)


def test_only_the_refinement_is_trained(model: LidarDenoiser) -> None:
    refinement_loss(model, scans(), Draws((0,))).value.backward()
    assert model.refinement is not None
    assert all(p.grad is not None for p in model.refinement.parameters())
    assert all(p.grad is None for p in (*model.encoder.parameters(), *model.predictor.parameters()))


def test_draws_decide_everything(model: LidarDenoiser, monkeypatch) -> None:
    monkeypatch.setattr(model, "refine", lambda points: points)
    first, again, other = (
        refinement_loss(model, scans(), Draws((key,))).value for key in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
