"""Contract: pictures compare: one colour for one height, one pixel for one place, in any scene.

What is nearer to the camera hides what is behind it, whatever the order of the points.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32, UInt8
from PIL import Image
from scipy.spatial.transform import Rotation

from domains.errors import FewstepError
from domains.lidar import pictures
from domains.lidar.pictures import bird_eye, perspective, write_png

Points = Float32[np.ndarray, "n 3"]
View = Callable[[Points], UInt8[np.ndarray, "h w 3"]]
both_views = pytest.mark.parametrize("view", [bird_eye, perspective])
BACKGROUND = pictures.BACKGROUND.astype(np.uint8)


def cloud(*rows: tuple[float, float, float]) -> Points:
    return np.array(rows, dtype=np.float32).reshape(-1, 3)


def box(count: int = 20_000) -> Points:
    """Points all over the space in front of the camera."""
    draw = np.random.default_rng(0)
    return draw.uniform([-10, -30, -3], [48, 30, 5], (count, 3)).astype(np.float32)


def lit(image: UInt8[np.ndarray, "h w 3"]) -> np.ndarray:
    """Row and column of each pixel that isn't background."""
    return np.argwhere((image != BACKGROUND).any(-1))


@pytest.mark.parametrize(
    ("x", "y", "row", "column"),
    [(0, 0, 50, 50), (25, 0, 25, 50), (0, 25, 50, 25), (-40, -30, 90, 80)],
)
def test_from_above_ahead_is_up_and_left_is_left(x: int, y: int, row: int, column: int) -> None:
    place = lit(bird_eye(cloud((x, y, 0)), size=100)).mean(0)
    np.testing.assert_allclose(place, [row - 0.5, column - 0.5], atol=0.6)


def test_perspective_is_that_of_a_camera_turned_by_scipy() -> None:
    # From ahead, left, up to right, down, ahead; then down by the pitch.
    to_camera = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    tilt = Rotation.from_euler("x", pictures.PITCH).as_matrix()
    for point in box(15):
        x, y, z = tilt @ to_camera @ (point - pictures.EYE)
        focal = 480 / np.tan(pictures.FIELD_OF_VIEW / 2)
        column, row = 480 + focal * x / z, 270 + focal * y / z
        place = lit(perspective(point[None]))
        if 5 < column < 955 and 5 < row < 535:
            np.testing.assert_allclose(place.mean(0) + 0.5, [row, column], atol=1)
        else:
            assert len(place) < 25


@both_views
def test_order_of_points_does_not_matter(view: View) -> None:
    points = box()
    np.testing.assert_array_equal(view(points), view(points[::-1].copy()))


@both_views
def test_a_mirrored_scene_is_a_mirrored_picture(view: View) -> None:
    points = box()
    mirrored = view(points * np.float32([1, -1, 1]))
    # A few points lie on the edge of a pixel, to rounding.
    assert (mirrored[:, ::-1] != view(points)).mean() < 1e-4


def test_a_wall_hides_what_is_behind_it() -> None:
    y, z = np.meshgrid(np.arange(-15, 15, 0.02), np.arange(-2, 6, 0.02))
    wall = np.stack([np.full(y.size, 5.0), y.ravel(), z.ravel()], 1).astype(np.float32)
    hidden = cloud((12, 0, -1), (20, 3, 0), (30, -4, 1))
    assert len(lit(perspective(hidden)))
    together = np.concatenate([wall, hidden])
    np.testing.assert_array_equal(perspective(together), perspective(wall))


def test_from_above_the_highest_is_seen() -> None:
    low, high = cloud((5, 5, -1.7)), cloud((5, 5, 2))
    np.testing.assert_array_equal(bird_eye(np.concatenate([low, high])), bird_eye(high))
    assert (bird_eye(low) != bird_eye(high)).any()


def test_nearer_points_are_larger_and_brighter() -> None:
    near, far = perspective(cloud((2, 0, 0))), perspective(cloud((45, 0, 0)))
    assert len(lit(near)) > len(lit(far)) > 0
    assert near.sum(-1).max() > far.sum(-1).max()


@both_views
def test_other_points_change_no_pixel_far_from_them(view: View) -> None:
    points = cloud((20, -10, 0))
    more = view(np.concatenate([points, cloud((20, 10, 3.9))]))
    half = more.shape[1] // 2
    np.testing.assert_array_equal(more[:, half:], view(points)[:, half:])


def test_lightness_of_the_ramp_rises_evenly() -> None:
    heights = np.linspace(pictures.LOWEST, pictures.HIGHEST, len(pictures.RAMP))
    steps = np.diff([lightness(height) for height in heights])
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.1)


def lightness(height: float) -> float:
    """OKLab's L (Ottosson 2020) of the middle of a large spot at a height."""
    y, x = np.meshgrid(*2 * [np.arange(-2, 2, 0.05)])
    spot = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], 1).astype(np.float32)
    colour = bird_eye(spot)[256, 256] / 255
    linear = np.where(colour < 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    return float(np.cbrt(cones @ linear) @ [0.2104542553, 0.7936177850, -0.0040720468])


@both_views
def test_no_points_and_points_out_of_sight_are_background(view: View) -> None:
    nothing = view(np.empty((0, 3), dtype=np.float32))
    assert not len(lit(nothing))
    np.testing.assert_array_equal(view(cloud((-90, 0, 0), (1e30, 1e30, -1e30))), nothing)


@both_views
def test_a_point_that_is_not_finite_is_an_error(view: View) -> None:
    with pytest.raises(FewstepError, match="1 of 2 that are not"):
        view(cloud((0, 0, 0), (np.nan, 0, 0)))


def test_a_written_picture_is_read_back(tmp_path: Path) -> None:
    image = perspective(box(), size=(320, 180))
    write_png(tmp_path / "new" / "scene.png", image)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "scene.png")), image)
    assert image.shape == (180, 320, 3)
