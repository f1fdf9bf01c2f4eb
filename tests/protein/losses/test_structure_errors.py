"""Contract: errors of bonds and contacts equal loops over residues, and are differentiable.

They see neither pose nor padding.
"""

import pytest
import torch
from torch import Tensor

from domains.batch import Batch
from domains.protein.losses.structure_errors import structure_errors


def chain(length: int = 12, seed: int = 0, scans: int = 3) -> Tensor:
    """Crowded random chains: bonds of all lengths, some residues too near."""
    source = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(scans, length, 3, generator=source, dtype=torch.float64)


def full(points: Tensor) -> Tensor:
    return torch.ones(points.shape[:2], dtype=torch.bool)


def both(points: Tensor, mask: Tensor) -> Tensor:
    found = structure_errors(points, Batch(mask))
    assert set(found) == {"scene", "point"}
    return torch.stack([found["scene"], found["point"]])


def by_loops(points: Tensor, mask: Tensor) -> Tensor:
    scene, point = [], []
    for xyz, real in zip(points, mask, strict=True):
        n = len(xyz)
        bonds = [(i, i + 1) for i in range(n - 1) if real[i] and real[i + 1]]
        others = [(i, j) for i in range(n) for j in range(i + 2, n) if real[i] and real[j]]
        bond = [float((xyz[i] - xyz[j]).norm() - 0.38) ** 2 for i, j in bonds]
        overlap = [max(0.0, 0.38 - float((xyz[i] - xyz[j]).norm())) ** 2 for i, j in others]
        scene.append(sum(bond) / max(1, len(bond)))
        point.append(sum(overlap) / max(1, int(real.sum())))
    return torch.tensor([scene, point], dtype=torch.float64).mean(1)


def test_errors_equal_loops_over_residues() -> None:
    points = chain()
    mask = full(points)
    mask[0, 9:] = False
    mask[1, 4] = False  # a gap is no bond
    mask[2] = False
    expected = by_loops(points, mask)
    assert (expected > 1e-3).all()
    torch.testing.assert_close(both(points, mask), expected, atol=1e-9, rtol=1e-6)


def test_a_stretched_chain_has_no_error() -> None:
    points = torch.zeros(1, 10, 3)
    points[..., 0] = 0.38 * torch.arange(10)
    assert both(points, full(points)).max() < 1e-12
    wide = both(points * 1.5, full(points))
    torch.testing.assert_close(wide, torch.tensor([0.19**2, 0.0]))


def test_one_contact_by_hand() -> None:
    """A right-angled square of bonds closes on itself: its ends are 0.1 nm apart."""
    corners = [[0, 0, 0], [0.38, 0, 0], [0.38, 0.38, 0], [0, 0.38, 0], [0, 0.1, 0]]
    points = torch.tensor([corners])
    scene, point = both(points, full(points))
    assert float(scene) == pytest.approx((0.38 - 0.28) ** 2 / 4, rel=1e-5)
    # The last residue touches the first, and no other pair is nearer than 0.38 nm.
    assert float(point) == pytest.approx((0.38 - 0.1) ** 2 / 5, rel=1e-5)


def test_pose_does_not_matter() -> None:
    points = chain()
    turn, _ = torch.linalg.qr(chain(3, seed=1, scans=1)[0])
    torch.testing.assert_close(both(points @ turn + 5, full(points)), both(points, full(points)))


def test_padding_changes_nothing() -> None:
    points = chain()
    padded = torch.cat([points, chain(4, seed=2)], 1)
    mask = torch.cat([full(points), torch.zeros(3, 4, dtype=torch.bool)], 1)
    torch.testing.assert_close(both(padded, mask), both(points, full(points)))


def test_gradients_equal_finite_differences() -> None:
    points = chain(6, scans=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: both(x, full(x)), points)


def test_gradients_are_finite_where_residues_coincide() -> None:
    points = torch.zeros(1, 5, 3, requires_grad=True)
    both(points, full(points)).sum().backward()
    assert points.grad is not None and points.grad.isfinite().all()
