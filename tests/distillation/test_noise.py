"""Contract: random numbers depend on names only, and times follow their distribution."""

from pathlib import Path

import pytest
import torch
from distillation.make import one_time
from distillation.toy import toy_distiller, toy_plan
from distillation.training.test_distiller import same, weights
from scipy import stats

from domains.distillation.noise import KeyedNoise, SampleNoise, generator
from domains.distillation.roles import Draws
from domains.distillation.sampling.schedule import log_time
from domains.distillation.times import Times
from domains.distillation.training.fit import run

MANY = 40_000


def draw(*key: int | str) -> torch.Tensor:
    return torch.randn(8, generator=generator(*key))


def test_same_key_gives_the_same_numbers():
    assert torch.equal(draw(1, 2, "student"), draw(1, 2, "student"))
    draws = Draws((3, "x"))
    shape = (2, 5, 3)
    assert torch.equal(draws.noise("a")(shape), draws.noise("a")(shape))
    assert draws.integer("k", 100) == Draws((3, "x")).integer("k", 100)


def test_different_keys_give_different_numbers():
    keys = [(1, 2), (2, 1), (12,), ("12",), (1, "2"), (1, 2, 0), (0, 1, 2), ("a", 1), ("a1",)]
    drawn = torch.stack([draw(*key) for key in keys])
    assert len({tuple(row.tolist()) for row in drawn}) == len(keys)
    many = [torch.randn(4096, generator=generator(key, "many")) for key in range(64)]
    correlation = torch.corrcoef(torch.stack(many)) - torch.eye(64)
    assert correlation.abs().max() < 0.1  # 4096 numbers: 0.016 by chance, so 6 sigma


def test_keys_are_stable_over_versions():
    """A resumed run on another machine must draw the same: this value may never change."""
    assert generator(0, 1, "student").initial_seed() == 936335225870456285


def test_successive_draws_differ():
    noise = KeyedNoise(generator("stream"))
    assert not torch.equal(noise((1, 4, 3)), noise((1, 4, 3)))


def test_integers_cover_their_range_evenly():
    counts = torch.zeros(4)
    for key in range(800):
        counts[Draws((key,)).integer("step", 4)] += 1
    assert stats.chisquare(counts.numpy()).pvalue > 0.01


def test_sample_noise_depends_on_neither_batch_nor_padding():
    def sources(*names: str) -> list[torch.Generator]:
        return [generator("sample", name) for name in names]

    alone = SampleNoise(sources("b"), [20])
    together = SampleNoise(sources("a", "b", "c"), [50, 20, 3])
    for _ in range(3):  # successive draws, too
        single, batch = alone((1, 20, 3)), together((3, 64, 3))
        assert torch.equal(batch[1, :20], single[0])
        assert (batch[1, 20:] == 0).all() and (batch[2, 3:] == 0).all()
        assert not torch.equal(batch[0, :20], batch[1, :20])


def test_sample_noise_is_standard_normal():
    noise = SampleNoise([generator("n", k) for k in range(20)], [500] * 20)((20, 500, 3))
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 0.01


def test_beta_times_mix_beta_with_two_percent_uniform():
    times = Times(kind="beta").sample(MANY, generator("times")).numpy()

    def cumulative(t):
        return 0.98 * t**1.9 + 0.02 * t

    assert stats.kstest(times, cumulative).pvalue > 0.01
    # The uniform branch shows where Beta(1.9, 1) has next to nothing: P(t < 0.02) is
    # 0.98 · 0.02^1.9 + 0.02 · 0.02 = 0.00098, of which Beta alone would give 0.00059.
    many = Times(kind="beta").sample(20 * MANY, generator("small times"))
    assert float((many < 0.02).double().mean()) == pytest.approx(cumulative(0.02), abs=1.2e-4)


def test_log_grid_times_are_uniform_over_401_positions():
    times = Times(kind="log_grid").sample(MANY, generator("grid"))
    grid = log_time(torch.arange(401))
    position = torch.searchsorted(grid, times)
    assert torch.equal(grid[position], times)
    counts = torch.bincount(position, minlength=401)
    assert stats.chisquare(counts.numpy()).pvalue > 0.01


@pytest.mark.parametrize("kind", ["beta", "log_grid"])
def test_times_are_clamped_not_redrawn(kind):
    free = Times(kind=kind).sample(MANY, generator("clamp"))
    held = Times(kind=kind, low=0.02, high=0.98).sample(MANY, generator("clamp"))
    assert torch.equal(held, free.clamp(0.02, 0.98))
    assert held.min() == pytest.approx(0.02) and held.max() == pytest.approx(0.98)
    # SiD's grid puts 0.15 of its mass on the upper bound.
    if kind == "log_grid":
        assert float((held == held.max()).float().mean()) == pytest.approx(0.152, abs=0.01)


def test_squeezed_times_keep_their_order_and_their_distribution():
    bounds = Times(kind="uniform", low=0.1, high=0.9)
    times = bounds.sample(MANY, generator("squeezed"))
    found = bounds.squeezed(times, 0.3, 0.5)
    torch.testing.assert_close((found - 0.3) / 0.2, (times - 0.1) / 0.8, rtol=0, atol=1e-5)
    torch.testing.assert_close(bounds.squeezed(times, 0.0, 1.0), times)


@pytest.mark.parametrize(
    ("low", "high", "at"), [(0.95, 1.0, 0.9), (0.0, 0.05, 0.1), (0.4, 0.4, 0.4)]
)
def test_squeezed_times_never_leave_the_bounds(low: float, high: float, at: float):
    bounds = Times(kind="beta", low=0.1, high=0.9)
    found = bounds.squeezed(bounds.sample(9, generator("outside")), low, high)
    torch.testing.assert_close(found, torch.full((9,), at))


def test_times_of_one_value_are_squeezed_to_the_nearest():
    point = one_time(0.6)
    assert (point.squeezed(point.sample(5, generator("point")), 0.2, 0.4) == 0.6).all()


def test_students_of_one_seed_draw_by_their_names(tmp_path: Path):
    ends = []
    for k, name in enumerate(["vsd", "vsd", "sid", ""]):
        distiller = toy_distiller(seed=3, name=name)
        run(distiller, tmp_path / str(k))
        ends.append(weights(distiller.student))
    assert same(ends[0], ends[1]) and not same(ends[0], ends[2])
    # A teacher has no name, and draws what it always drew.
    assert toy_plan(seed=3).key == (3,) and not same(ends[0], ends[3])
