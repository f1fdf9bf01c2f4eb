"""Contract: turn, wobble, scale and flip in this order, as one similarity."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from domains.lidar.data.augmentation import draw_similarity


@pytest.mark.parametrize("seed", range(6))
def test_the_steps_one_after_the_other(seed: int) -> None:
    """Each step as the recipe words it, with scipy's rotations."""
    points = np.random.default_rng(99).normal(size=(20, 3))
    rng = np.random.default_rng(seed)
    turn = Rotation.from_euler("z", rng.uniform(0, 2 * np.pi)).as_matrix()
    angles = np.clip(rng.normal(0, 0.06, 3), -0.18, 0.18)
    # Extrinsic x, y, z is Rz Ry Rx.
    wobble = Rotation.from_euler("xyz", angles).as_matrix()
    scale = rng.uniform(0.95, 1.05)
    expected = points @ turn @ wobble * scale
    if rng.random() < 0.5:
        expected[:, 1] *= -1
    matrix = draw_similarity(np.random.default_rng(seed))
    np.testing.assert_allclose(points @ matrix, expected, atol=1e-12)


def test_distances_change_by_one_factor_only() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        matrix = draw_similarity(rng)
        gram = matrix @ matrix.T
        np.testing.assert_allclose(gram, gram[0, 0] * np.eye(3), atol=1e-12)
        assert 0.95**2 <= gram[0, 0] <= 1.05**2


def test_the_draws_have_the_recipe_s_spread() -> None:
    rng = np.random.default_rng(1)
    matrices = np.stack([draw_similarity(rng) for _ in range(4000)])
    assert np.mean(np.linalg.det(matrices) < 0) == pytest.approx(0.5, abs=0.03)
    # Uniform heading: the image of x averages to nothing.
    assert np.abs(matrices[:, 0, :2].mean(0)).max() < 0.05
    # The vertical leans by the wobble about x and y: sqrt(2) 0.06 radian in the mean square.
    lean = np.arccos(matrices[:, 2, 2] / np.cbrt(np.abs(np.linalg.det(matrices))))
    assert np.sqrt((lean**2).mean()) == pytest.approx(np.sqrt(2) * 0.06, rel=0.05)
    assert lean.max() <= np.sqrt(2) * 0.18 + 1e-6
