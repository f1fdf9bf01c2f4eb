"""Contract: a process's conversions are inverses; it projects out only what it cannot see."""

import pytest
import torch
from distillation.reference_flow import ReferenceFlow
from distillation.toy import blank
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from domains.batch import Batch
from domains.distillation.process import Centring, FlowMatching

CENTRINGS: list[Centring] = ["masked", "none"]
TIME = torch.tensor([0.05, 0.5, 0.97], dtype=torch.float64)


def points(seed: int, count: int = 9) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(3, count, 3, generator=source, dtype=torch.float64)


def batch(origin: bool = False) -> Batch:
    mask = blank([9, 6, 4], 9).mask
    return Batch(mask, origin=points(7) * mask[..., None] if origin else None)


@pytest.mark.parametrize("origin", [False, True], ids=["no-origin", "origin"])
@pytest.mark.parametrize("centring", ["masked", "none"])
@given(seed=st.integers(0, 2**16))
@settings(max_examples=10, deadline=None)
def test_conversions_invert_perturb(centring: Centring, origin: bool, seed: int):
    process, situation = FlowMatching(centring), batch(origin)
    clean = process.target(points(seed), situation)
    noise = process.project(points(seed + 1), situation)
    noisy = process.perturb(clean, noise, TIME, situation)
    mask = situation.mask[..., None]
    found = process.noise_of(clean, noisy, TIME, situation) * mask
    torch.testing.assert_close(found, noise, rtol=0, atol=1e-12)
    found = process.clean_of_noise(noise, noisy, TIME, situation) * mask
    torch.testing.assert_close(found, clean, rtol=0, atol=1e-12)


def test_score_of_the_clean_points_is_that_of_the_noise_kernel():
    process, situation = FlowMatching("none"), batch()
    clean = points(1) * situation.mask[..., None]
    noisy = process.perturb(clean, points(2), TIME, situation).requires_grad_()
    t = TIME[:, None, None]
    log_density = -((noisy - t * clean) ** 2 / (2 * (1 - t) ** 2)).sum()
    (expected,) = torch.autograd.grad(log_density, noisy)
    score = -process.noise_of(clean, noisy, TIME, situation) / (1 - t)
    torch.testing.assert_close(score, expected, rtol=0, atol=1e-10)


def test_ends_of_the_path_are_noise_and_data():
    process, situation = FlowMatching("masked"), batch(origin=True)
    clean, noise = process.target(points(1), situation), points(2)
    zeros, ones = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    assert situation.origin is not None
    start = process.project(noise, situation) + situation.origin
    torch.testing.assert_close(process.perturb(clean, noise, zeros, situation), start)
    torch.testing.assert_close(process.perturb(clean, noise, ones, situation), clean)


def test_origin_as_the_clean_points_leaves_local_noise():
    """LiDAR's training form: with origin = x_0 only the noise is added (α drops out)."""
    process, mask = FlowMatching("none"), batch().mask
    clean, noise = points(3) * mask[..., None], points(4)
    noisy = process.perturb(clean, noise, TIME, Batch(mask, origin=clean))
    expected = (clean + (1 - TIME)[:, None, None] * noise) * mask[..., None]
    torch.testing.assert_close(noisy, expected)


@pytest.mark.parametrize("origin", [False, True], ids=["no-origin", "origin"])
@pytest.mark.parametrize("centring", CENTRINGS)
def test_projection_is_idempotent_and_masks(centring: Centring, origin: bool):
    process, situation = FlowMatching(centring), batch(origin)
    once = process.project(points(5), situation)
    torch.testing.assert_close(process.project(once, situation), once, rtol=0, atol=1e-14)
    target = process.target(points(5), situation)
    torch.testing.assert_close(process.target(target, situation), target, rtol=0, atol=1e-14)
    for made in (once, target, process.perturb(points(5), points(6), TIME, situation)):
        assert (made[~situation.mask] == 0).all()


@pytest.mark.parametrize("origin", [False, True], ids=["no-origin", "origin"])
def test_masked_centring_is_blind_to_a_translation(origin: bool):
    process, situation = FlowMatching("masked"), batch(origin)
    shift = torch.tensor([3.0, -2.0, 5.0], dtype=torch.float64)
    made = [
        process.perturb(points(1) + move, points(2) + move, TIME, situation)
        for move in (0.0, shift)
    ]
    torch.testing.assert_close(made[0], made[1])
    relative = made[0] if situation.origin is None else made[0] - situation.origin
    mean = (relative * situation.mask[..., None]).sum(1) / situation.sizes[:, None]
    assert mean.abs().max() < 1e-12


def test_masked_centring_does_not_see_padding_but_the_reference_does():
    narrow, wide = blank([4, 4, 4]), blank([4, 4, 4], 9)
    clean, noise = points(1), points(2)

    def made(process: FlowMatching, situation: Batch) -> Tensor:
        n = situation.mask.shape[1]
        return process.perturb(clean[:, :n], noise[:, :n], TIME, situation)[:, :4]

    masked, reference = FlowMatching("masked"), ReferenceFlow()
    torch.testing.assert_close(made(masked, narrow), made(masked, wide))
    torch.testing.assert_close(made(reference, narrow), made(masked, narrow))
    assert not torch.allclose(made(reference, wide), made(reference, narrow), atol=0.1)


def test_no_centring_keeps_the_frame():
    process, situation = FlowMatching("none"), batch()
    inside = points(1) * situation.mask[..., None]
    torch.testing.assert_close(process.project(points(1), situation), inside, rtol=0, atol=0)


def test_perturb_is_differentiable_in_the_clean_points():
    situation = batch()
    clean = points(1).requires_grad_()
    FlowMatching().perturb(clean, points(2), TIME, situation).square().sum().backward()
    assert clean.grad is not None and clean.grad[situation.mask].abs().min() > 0
    assert (clean.grad[~situation.mask] == 0).all()


def test_denoising_weight_is_that_of_the_velocity_and_finite_at_data():
    time = torch.tensor([0.0, 0.5, 1.0])
    expected = torch.tensor([1.0, 4.0, 1e5])
    torch.testing.assert_close(FlowMatching().denoising_weight(time), expected, rtol=1e-4, atol=0)


def test_a_point_diffused_on_keeps_its_share_of_noise():
    """α'/α (x_t) + sqrt(σ'² − (α' σ/α)²) ε', the Gaussian kernel between two times."""
    process, situation = FlowMatching("none"), batch()
    clean, own, fresh = (points(k) * situation.mask[..., None] for k in (1, 2, 3))
    noisier = TIME / 2
    share = process.noise_share(TIME, noisier)[:, None, None]
    found = process.perturb(clean, share * own + (1 - share**2).sqrt() * fresh, noisier, situation)
    t, s = TIME[:, None, None], noisier[:, None, None]
    added = ((1 - s) ** 2 - (s / t * (1 - t)) ** 2).sqrt()
    expected = s / t * process.perturb(clean, own, TIME, situation) + added * fresh
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(process.noise_share(TIME, TIME), torch.ones_like(TIME))
