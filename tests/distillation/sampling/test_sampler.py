"""Contract: samplers are exact where the answer is known, and play their steps as specified."""

from dataclasses import dataclass, field

import pytest
import torch
from distillation.toy import GaussianDenoiser, GaussianStudent, ToyDenoiser, blank, template
from torch import Tensor

from domains.batch import Batch
from domains.distillation.noise import KeyedNoise, SampleNoise, generator
from domains.distillation.process import FlowMatching
from domains.distillation.sampling.sampler import SDE, Step, integrate, last, polish, renoise
from domains.distillation.sampling.schedule import polish_times, sampling_times

PROCESS = FlowMatching()


@dataclass
class Recorder:
    """Answers with a network's estimate and keeps what it was asked."""

    inner: ToyDenoiser = field(default_factory=ToyDenoiser)
    asked: list[tuple[Tensor, float, Tensor | None]] = field(default_factory=list)

    def __call__(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        self.asked.append((noisy, float(time[0]), previous))
        return self.inner(noisy, time, batch)


def keyed(name: str) -> KeyedNoise:
    return KeyedNoise(generator(name))


@torch.no_grad()
def test_renoise_is_the_recursion_of_the_paper():
    batch, times, scales = blank([5, 7]), PROCESS.times(3), [1.0, 0.5, 0.25]
    recorder, noise = Recorder(), keyed("x")
    steps = list(renoise(recorder, PROCESS, batch, times, keyed("x"), scales))
    clean = torch.zeros(batch.shape)
    for step, time, scale, (noisy, told, previous) in zip(
        steps, times.tolist(), scales, recorder.asked, strict=True
    ):
        fresh = PROCESS.project(noise(batch.shape), batch)
        expected = time * PROCESS.project(clean, batch) + (1 - time) * scale * fresh
        torch.testing.assert_close(noisy, expected)
        assert told == step.time == time and previous is None
        assert torch.equal(step.noisy, noisy) and torch.equal(step.points, step.clean)
        clean = step.clean


@torch.no_grad()
def test_deterministic_renoising_is_the_ode():
    batch, times = blank([5, 7]), torch.tensor([0.0, 0.3, 0.6, 0.9])
    ends = torch.cat([times, torch.ones(1)])
    ode = list(integrate(ToyDenoiser(), PROCESS, batch, ends, keyed("x")))
    played = renoise(ToyDenoiser(), PROCESS, batch, times, keyed("x"), eta=0.0)
    for found, expected in zip(played, ode, strict=True):
        torch.testing.assert_close(found.noisy, expected.noisy, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(PROCESS.target(found.points, batch), ode[-1].points)


def drawn(**settings) -> tuple[list[Step], list[Tensor], Recorder]:
    """Steps of a re-noised sample of three calls, what noise was drawn, what was asked."""
    batch, recorder, source, fresh = blank([5, 7]), Recorder(), keyed("x"), []

    def noise(shape: tuple[int, int, int]) -> Tensor:
        fresh.append(source(shape))
        return fresh[-1]

    times = PROCESS.times(3)
    return list(renoise(recorder, PROCESS, batch, times, noise, **settings)), fresh, recorder


@torch.no_grad()
def test_eta_goes_from_the_ode_to_renoising():
    for eta, same in ((1.0, {}), (0.0, {"eta": 0.0})):
        found, expected = drawn(eta=eta), drawn(**same)
        assert len(found[1]) == len(expected[1]) == (3 if eta else 1)
        for step, other in zip(found[0], expected[0], strict=True):
            assert torch.equal(step.noisy, other.noisy) and torch.equal(step.clean, other.clean)


@torch.no_grad()
def test_each_step_mixes_fresh_and_kept_noise():
    """The first call has nothing to keep; a call that keeps all draws nothing."""
    batch, scale = blank([5, 7]), 0.5
    steps, fresh, _ = drawn(eta=[0.0, 0.6, 0.0], noise_scale=scale)
    assert len(fresh) == 2
    first, second, third = steps
    torch.testing.assert_close(
        first.noisy, PROCESS.perturb(torch.zeros(batch.shape), scale * fresh[0], at(first), batch)
    )
    kept = PROCESS.noise_of(PROCESS.target(first.clean, batch), first.noisy, at(first), batch)
    mixed = 0.6 * scale * fresh[1] + 0.8 * kept
    torch.testing.assert_close(second.noisy, PROCESS.perturb(first.clean, mixed, at(second), batch))
    kept = PROCESS.noise_of(PROCESS.target(second.clean, batch), second.noisy, at(second), batch)
    torch.testing.assert_close(third.noisy, PROCESS.perturb(second.clean, kept, at(third), batch))


def at(step: Step) -> Tensor:
    return torch.full((2,), step.time)


@torch.no_grad()
def test_renoising_hands_on_the_clean_estimate_where_it_is_told_to():
    steps, _, recorder = drawn(self_conditioning=True)
    previous = [asked[2] for asked in recorder.asked]
    assert previous[0] is None
    for told, step in zip(previous[1:], steps, strict=False):
        assert told is not None and torch.equal(told, step.clean)


@torch.no_grad()
def test_renoise_starts_from_the_origin_or_where_it_is_told():
    mask, times = blank([6]).mask, torch.tensor([0.5])
    origin = template(6)[None]
    silent = lambda shape: torch.zeros(shape)  # noqa: E731
    process = FlowMatching("none")
    (step,) = renoise(ToyDenoiser(), process, Batch(mask, origin=origin), times, silent)
    torch.testing.assert_close(step.noisy, origin)
    (step,) = renoise(ToyDenoiser(), process, Batch(mask), times, silent, start=2 * origin)
    torch.testing.assert_close(step.noisy, origin)


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 4])
def test_renoise_gives_a_gaussian_student_its_distribution(steps: int):
    times = PROCESS.times(steps)
    student = GaussianStudent(1.2, 0.6, 300, float(times[0]))
    points = last(renoise(student, PROCESS, blank([300] * 40), times, keyed("s")))
    mean = template(300)
    assert float((points * mean).mean()) == pytest.approx(1.2, abs=0.02)
    assert float((points - 1.2 * mean).std()) == pytest.approx(0.6, rel=0.02)


@torch.no_grad()
def test_ode_carries_noise_to_gaussian_data():
    teacher, batch = GaussianDenoiser(1.0, 0.5, 300), blank([300] * 20)
    times = sampling_times("uniform", 400)
    points = last(integrate(teacher, PROCESS, batch, times, keyed("ode")))
    # The exact map is x_1 = m + std · ε of the starting noise (Euler: error ~ 1/steps).
    start = PROCESS.project(keyed("ode")(batch.shape), batch)
    expected = template(300) + 0.5 * start
    torch.testing.assert_close(points, expected, rtol=0, atol=0.02)


@torch.no_grad()
@pytest.mark.parametrize("noise_scale", [1.0, 0.0])
def test_sde_keeps_the_marginal_or_shrinks_it_without_noise(noise_scale: float):
    teacher, batch = GaussianDenoiser(1.0, 0.5, 200), blank([200] * 20)
    sde = SDE(noise_scale, diffusion="us")
    steps = integrate(teacher, PROCESS, batch, sampling_times("log", 400), keyed("sde"), sde)
    points = last(steps)
    spread = float((points - template(200)).std())
    if noise_scale == 1:
        assert spread == pytest.approx(0.5, rel=0.05)
    else:
        assert spread < 0.1
    assert float((points * template(200)).mean()) == pytest.approx(1, abs=0.05)


@torch.no_grad()
def test_self_conditioning_hands_on_the_clean_estimate():
    batch, times = blank([5]), sampling_times("log", 3)
    recorder = Recorder()
    steps = list(integrate(recorder, PROCESS, batch, times, keyed("a"), self_conditioning=True))
    previous = [asked[2] for asked in recorder.asked]
    assert previous[0] is None
    for told, step in zip(previous[1:], steps, strict=False):
        assert told is not None and torch.equal(told, step.clean)
    assert [step.time for step in steps] == pytest.approx(times[:-1].tolist())


@torch.no_grad()
def test_sde_ends_with_the_ode():
    """Above ``until`` no noise is drawn."""
    times = torch.tensor([0.0, 0.5, 0.9, 0.995, 1.0])
    drawn = []

    def noise(shape: tuple[int, int, int]) -> Tensor:
        drawn.append(shape)
        return torch.ones(shape)

    list(integrate(ToyDenoiser(), PROCESS, blank([4]), times, noise, SDE(until=0.99)))
    assert len(drawn) == 1 + 3


@torch.no_grad()
@pytest.mark.parametrize("kind", ["renoise", "ode", "sde"])
def test_a_sample_does_not_depend_on_its_batch_or_padding(kind: str):
    def sample(sizes: list[int], names: list[str], length: int) -> Tensor:
        noise = SampleNoise([generator(name) for name in names], sizes)
        batch, student = blank(sizes, length), ToyDenoiser(1)
        if kind == "renoise":
            return last(renoise(student, PROCESS, batch, PROCESS.times(4), noise, 0.45))
        sde = SDE() if kind == "sde" else None
        return last(integrate(student, PROCESS, batch, sampling_times("log", 20), noise, sde))

    alone = sample([6], ["b"], 6)[0]
    together = sample([9, 6], ["a", "b"], 12)[1]
    torch.testing.assert_close(together[:6], alone, rtol=1e-3, atol=1e-5)
    assert (together[6:] == 0).all()


def test_a_sampler_without_steps_is_an_error():
    with pytest.raises(ValueError, match="without steps"):
        last(iter(()))


@torch.no_grad()
def test_polish_goes_on_from_the_last_clean_estimate():
    batch, recorder = blank([5, 7]), Recorder()
    grid, ends = sampling_times("log", 20), polish_times(0.9, 3)
    times = grid[: int((grid < 0.9).sum()) + 1]
    body = integrate(recorder, PROCESS, batch, times, keyed("a"), SDE())
    steps = list(polish(body, recorder, PROCESS, batch, ends, keyed("b"), 0.45))
    assert [time for _, time, _ in recorder.asked] == [*times[:-1].tolist(), *ends.tolist()]
    assert all(time < 0.9 for time in times[:-1]) and ends[0] > 0.9
    clean = steps[len(times) - 2].clean
    fresh = keyed("b")(batch.shape)
    expected = PROCESS.perturb(clean, 0.45 * fresh, ends[:1].expand(2), batch)
    torch.testing.assert_close(steps[len(times) - 1].noisy, expected)
    assert torch.equal(steps[-1].points, steps[-1].clean)


def test_polish_times_space_the_noise_evenly_in_its_logarithm():
    noise = 1 - polish_times(0.9, 4).double()
    ratios = noise[1:] / noise[:-1]
    torch.testing.assert_close(ratios, torch.full_like(ratios, 0.1**0.25), rtol=1e-4, atol=0)
    assert float(noise[-1]) == pytest.approx(0.01, rel=1e-4)


def test_polish_needs_a_body():
    with pytest.raises(ValueError, match="without steps"):
        list(polish(iter(()), ToyDenoiser(), PROCESS, blank([5]), torch.ones(1), keyed("x")))
