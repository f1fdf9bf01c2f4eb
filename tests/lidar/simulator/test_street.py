"""Contract: a street has what a street needs, nothing stands in the lane, movers move."""

import numpy as np
import pytest

from domains.lidar.simulator.labels import Label
from domains.lidar.simulator.meshes import Mesh
from domains.lidar.simulator.road import MARGIN, draw_road
from domains.lidar.simulator.street import draw_street


def test_street_coordinates_are_metres() -> None:
    road = draw_road(np.random.default_rng(2), 100.0)
    s = np.linspace(0, 100, 201)
    middle = road.at(s, 0.0)
    steps = np.linalg.norm(np.diff(middle[:, :2], axis=0), axis=1)
    np.testing.assert_allclose(steps, 0.5, atol=1e-3)
    across = road.at(s, 3.0) - road.at(s, -3.0)
    np.testing.assert_allclose(np.linalg.norm(across[:, :2], axis=1), 6.0)
    along = np.gradient(middle[:, :2], axis=0)
    cosine = (across[:, :2] * along).sum(1) / 6.0 / 0.5
    assert np.abs(cosine).max() < 0.02
    np.testing.assert_allclose(middle[:, 2], road.ground(middle[:, :2]))
    # Left is to the left: the turn from ahead to across is positive.
    assert (along[:, 0] * across[:, 1] > along[:, 1] * across[:, 0]).all()


@pytest.mark.parametrize("seed", range(2))
def test_the_lane_is_free_and_the_street_is_furnished(seed: int) -> None:
    street = draw_street(np.random.default_rng(seed), 20.0, 1.0)
    labels = set(street.static.labels)
    assert {Label.ROAD, Label.SIDEWALK, Label.TERRAIN, Label.VEGETATION} <= labels
    assert street.static.labels.max() < Label.MOVING_CAR
    assert np.isfinite(street.static.vertices).all()
    lane = street.road.at(np.linspace(-10, 30, 81), street.lane)
    solid = np.isin(street.static.labels, [Label.CAR, Label.BUILDING, Label.FENCE, Label.POLE])
    corners = street.static.vertices[street.static.faces[solid]].reshape(-1, 3)
    gaps = np.linalg.norm(corners[:, None, :2] - lane[None, ::4, :2], axis=-1)
    assert gaps.min() > 1.5


def test_movers_drive_along_their_lane() -> None:
    # Not every street has traffic.
    for seed in range(20):
        street = draw_street(np.random.default_rng(seed), 10.0, 1.0)
        if street.movers:
            break
    first, later = street.moving(0), street.moving(5)
    assert isinstance(first, Mesh)
    assert isinstance(later, Mesh)
    assert first.labels.min() >= Label.MOVING_CAR
    count = len(street.movers[0].mesh.vertices)
    shift = later.vertices[:count].mean(0) - first.vertices[:count].mean(0)
    assert np.linalg.norm(shift) == pytest.approx(abs(5 * street.movers[0].speed), rel=0.1)


def test_the_street_goes_on_beyond_the_sensor_s_reach() -> None:
    road = draw_road(np.random.default_rng(0), 30.0)
    assert road.ends == (-MARGIN, 30.0 + MARGIN)
    assert MARGIN > 80
