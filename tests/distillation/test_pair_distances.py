"""Contract: errors of distances see what is near, and no turn, shift or padding."""

import math
from functools import partial

import pytest
import torch
from distillation.toy import blank

from domains.distillation.objectives.pair_distances import pair_distance_error
from domains.errors import FewstepError


def test_distances_of_near_pairs_ignore_turns_shifts_and_what_is_far():
    batch = blank([4, 3], 4)
    aim = torch.tensor([[0.0, 0, 0], [0.3, 0, 0], [0.6, 0, 0], [5.0, 0, 0]]).expand(2, 4, 3)
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    error = partial(pair_distance_error, batch=batch, radius=0.5, huber=0.01)
    torch.testing.assert_close(error(aim @ turn + 7, aim), torch.zeros(2), rtol=0, atol=1e-5)
    far = aim.clone()
    far[0, 3] += 1  # near none; of the second sample it is padding
    torch.testing.assert_close(error(far, aim), torch.zeros(2), rtol=0, atol=1e-6)
    moved = aim.clone()
    moved[:, 0, 0] = -0.1  # one of two near pairs is .1 longer
    expected = torch.full((2,), (math.hypot(0.1, 0.01) - 0.01) / 2)
    torch.testing.assert_close(error(moved, aim), expected, rtol=1e-4, atol=0)


def test_distances_have_a_finite_gradient_where_points_coincide():
    points = torch.zeros(1, 3, 3, requires_grad=True)
    aim = torch.tensor([[[0.0, 0, 0], [0.3, 0, 0], [0, 0.3, 0]]])
    pair_distance_error(points, aim, blank([3]), 1.0, 0.01).sum().backward()
    assert points.grad is not None and points.grad.isfinite().all()


def test_clouds_have_too_many_pairs():
    points = torch.zeros(1, 5000, 3)
    with pytest.raises(FewstepError, match="at most 4096 points, got 5000"):
        pair_distance_error(points, points, blank([5000]), 1.0, 0.01)
