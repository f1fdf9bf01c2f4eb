"""Contract: the network of points answers each point from the scan around it, and from no other.

Neighbours are exact, cells are means, and turning scan and points together by what the network
cannot see (the order of points) changes nothing. It learns a surface that a scan shows.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from domains.batch import Batch
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.lidar.calibrate import fit_levels
from domains.lidar.denoiser import LidarDenoiser, parse_network
from domains.lidar.local_noise import LocalNoise, time_of
from domains.lidar.losses.noise_loss import lidiff_loss
from domains.lidar.points import PointConfig
from domains.lidar.points.encoder import cell_means
from domains.lidar.points.neighbours import gathered, nearest_points

CONFIG = PointConfig(
    channels=8, neighbours=(6, 4, 3), partial_points=60, copies=3, radius=20, learning_points=50
)
TIME = time_of(torch.tensor([700, 150]))


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(seed: int = 0) -> LidarDenoiser:
    """One with random last layers, which a new one has at 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LidarDenoiser(CONFIG, regularised=False)
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.data.normal_(std=weight.shape[1] ** -0.5)
    return model.eval()


def floors(count: int = 2, seed: int = 0) -> Batch:
    """Scans of a flat floor, 1.7 m below the sensor, and its points."""

    def floor(points: int, stream: int) -> Tensor:
        flat = 6 * torch.rand(count, points, 2, generator=source(100 * seed + stream)) - 3
        return torch.cat([flat, torch.full((count, points, 1), -1.7)], -1)

    partial = floor(60, 0)
    truth = floor(180, 1)
    mask = torch.ones(truth.shape[:2], dtype=torch.bool)
    return Batch(mask, truth, partial.repeat(1, 3, 1), {"partial": partial})


def noisy_of(batch: Batch) -> Tensor:
    assert batch.points is not None
    return batch.points + 0.5 * torch.randn(batch.shape, generator=source(7))


def test_neighbours_are_the_nearest_ones() -> None:
    queries, points = (torch.randn(n, 3, generator=source(n)) for n in (30, 50))
    expected = torch.cdist(queries, points).argsort(1)[:, :5]
    assert torch.equal(nearest_points(queries, points, 5), expected)
    # A scan of fewer points has no more neighbours; one stays a column.
    assert nearest_points(queries, points[:3], 5).shape == (30, 3)
    assert nearest_points(queries, points, 1).shape == (30, 1)
    torch.testing.assert_close(gathered(points, expected), points[expected])


def test_nan_is_not_hidden() -> None:
    batch = floors(1)
    noisy = noisy_of(batch)
    noisy[0, 3, 1] = float("nan")
    with torch.no_grad():
        found = network()(noisy, TIME[:1], batch)
    assert not torch.isfinite(found[0, 3]).all()
    assert torch.isfinite(found[0, :3]).all() and torch.isfinite(found[0, 4:]).all()


def test_cells_are_means_of_their_points() -> None:
    points = torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.3, 0.5], [-0.1, 0.2, 0.2], [5.0, 0.0, 0.0]])
    found = cell_means(points, 1.0)
    expected = torch.stack([points[2], points[:2].mean(0), points[3]])
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_no_point_and_no_scan_sees_another() -> None:
    model, batch = network(), floors()
    noisy = noisy_of(batch)
    whole = model(noisy, TIME, batch)
    assert (whole - noisy).abs().max() > 0.05
    for k in range(2):
        partial = batch.condition["partial"][k : k + 1]
        few = Batch(batch.mask[:1, 10:20], condition={"partial": partial})
        alone = model(noisy[k : k + 1, 10:20], TIME[k : k + 1], few)
        torch.testing.assert_close(alone[0], whole[k, 10:20], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_is_zero_and_changes_nothing() -> None:
    model, batch = network(), floors()
    noisy = noisy_of(batch)
    mask = batch.mask.clone()
    mask[0, 100:] = False
    whole, padded = model(noisy, TIME, batch), model(noisy, TIME, replace(batch, mask=mask))
    assert (padded[0, 100:] == 0).all()
    torch.testing.assert_close(padded[0, :100], whole[0, :100], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(padded[1], whole[1], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_order_of_the_scan_does_not_matter() -> None:
    model, batch = network(), floors(1)
    noisy, partial = noisy_of(batch), batch.condition["partial"]
    shuffled = partial[:, torch.randperm(60, generator=source(1))]
    one = model(noisy, TIME[:1], batch)
    other = model(noisy, TIME[:1], replace(batch, condition={"partial": shuffled}))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_condition_is_encoded_once_and_repeated() -> None:
    model, batch = network(), floors()
    noisy, encoded = noisy_of(batch), network().encode(batch)
    torch.testing.assert_close(model(noisy, TIME, encoded), model(noisy, TIME, batch))
    twice = model(noisy.repeat(2, 1, 1), TIME.repeat(2), encoded.repeated(2))
    torch.testing.assert_close(twice[2:], twice[:2])


@torch.no_grad()
def test_without_a_scan_there_is_an_answer_that_does_not_depend_on_it() -> None:
    model, batch = network(), floors()
    noisy = noisy_of(batch)
    alone = replace(batch, condition={})
    assert torch.isfinite(model(noisy, TIME, alone)).all()
    assert (model(noisy, TIME, alone) - model(noisy, TIME, batch)).abs().max() > 0.01


def test_every_weight_learns() -> None:
    model, batch = network().requires_grad_(True), floors()
    batch = replace(batch, points=batch.points)
    lidiff_loss(model, LocalNoise(False), batch, Draws((0,))).value.backward()
    silent = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # The coarsest cells of a small floor are one cell, whose only neighbour is itself.
    assert not {name for name in silent if ".2." not in name}


def test_it_learns_a_floor_that_the_scan_shows() -> None:
    """Of noise on a plane a third can be known: across it. A new network knows nothing."""
    torch.manual_seed(0)
    model = LidarDenoiser(CONFIG, regularised=False)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(60):
        loss = lidiff_loss(model, LocalNoise(False), floors(2, step + 1), Draws((step,)))
        optimiser.zero_grad()
        loss.value.backward()
        optimiser.step()
    [fit] = fit_levels(model.eval(), [floors(2, 999)], Draws((0,)), [300])
    assert fit.error < 0.8


def test_model_is_stored_and_read(tmp_path: Path) -> None:
    model, batch = network(), floors()
    model.save(tmp_path / "model")
    found = LidarDenoiser.load(tmp_path / "model")
    assert found.config == CONFIG and not found.process.regularised
    with torch.no_grad():
        noisy = noisy_of(batch)
        torch.testing.assert_close(found(noisy, TIME, batch), model(noisy, TIME, batch))


def test_configuration_tells_which_network_it_is() -> None:
    assert parse_network({"kind": "points", "channels": 16}, "x") == PointConfig(channels=16)
    with pytest.raises(FewstepError, match=r"x, width"):
        parse_network({"kind": "points", "width": 0.5}, "x")
    with pytest.raises(FewstepError, match=r"x, channels"):
        parse_network({"kind": "points", "channels": 6}, "x")
    with pytest.raises(FewstepError, match="no refinement for a network of points"):
        LidarDenoiser(CONFIG, refined=True)


def test_a_part_of_the_points_learns_where_none_sees_another() -> None:
    assert CONFIG.points == 180 and CONFIG.learning_size == 50
    assert parse_network({}, "x").learning_size == 180_000
    assert np.isclose(CONFIG.units, (0.6, 1.2, 4.0)).all()
