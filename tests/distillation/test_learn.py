"""Contract: a learned solver ends nearer to many steps of the ODE, and is a sampler as others."""

import pytest
import torch
from distillation.gaussian_cases import PROCESS
from distillation.toy import GaussianDenoiser, ToyDenoiser, blank
from torch import Tensor

from domains.batch import Batch
from domains.distillation.learn import _many_steps, _Solver, learn_solver
from domains.distillation.noise import generator
from domains.distillation.sampling.sampler import last, renoise
from domains.distillation.sampling.settings import Correction, Renoise
from domains.distillation.sampling.tuned import Learn, Tuned
from domains.errors import FewstepError
from domains.lidar.local_noise import LocalNoise

COUNT, STEPS = 24, 3


def drawn(update: int) -> tuple[Batch, Tensor]:
    batch = blank([COUNT] * 4)
    return batch, torch.randn(batch.shape, generator=generator("learned", update))


def played(sampler: Renoise, denoiser, batch: Batch, noise: Tensor) -> Tensor:
    steps = renoise(
        denoiser,
        PROCESS,
        batch,
        torch.tensor(sampler.times),
        lambda _: noise,
        eta=0.0,
        correction=sampler.correction,
    )
    return PROCESS.target(last(steps), batch)


def test_it_begins_as_the_plain_ode() -> None:
    solver, (batch, noise) = _Solver(PROCESS.times(STEPS), torch.device("cpu")), drawn(0)
    torch.testing.assert_close(solver.times, PROCESS.times(STEPS))
    plain = Renoise(steps=STEPS, eta=0, times=tuple(PROCESS.times(STEPS).tolist()))
    found = solver.end(ToyDenoiser(0), PROCESS, batch, noise)
    torch.testing.assert_close(found, played(plain, ToyDenoiser(0), batch, noise))


def test_what_is_learned_is_what_the_sampler_plays() -> None:
    solver, (batch, noise) = _Solver(PROCESS.times(STEPS), torch.device("cpu")), drawn(0)
    with torch.no_grad():
        solver.noise += torch.tensor([0.2, -0.3])
        solver.change += torch.tensor([0.5, -0.1])
    sampler = solver.settings(1.0)
    assert sampler.correction is not None and sampler.correction.change == (0.5, -0.1)
    found = solver.end(ToyDenoiser(0), PROCESS, batch, noise)
    torch.testing.assert_close(
        found, played(sampler, ToyDenoiser(0), batch, noise), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("steps", [2, 3])
def test_it_ends_nearer_to_the_ode_of_many_steps(steps: int) -> None:
    denoiser = GaussianDenoiser(1.0, 0.5, COUNT).requires_grad_(False)
    how = Learn(updates=80, teacher_steps=50, rate=0.1)
    learned = learn_solver(denoiser, PROCESS, steps, how, drawn)
    plain = Renoise(steps=steps, eta=0, times=tuple(PROCESS.times(steps).tolist()))
    batch, noise = drawn(10_000)
    target = _many_steps(denoiser, PROCESS, batch, noise, 100)
    errors = [
        float((played(one, denoiser, batch, noise) - target).square().mean().sqrt())
        for one in (learned.sampler, plain)
    ]
    assert errors[0] < 0.2 * errors[1] and learned.after < 0.2 * learned.before
    # The truth: the flow of N(m, .5²) takes noise ε to m + .5 ε.
    exact = denoiser.template + 0.5 * PROCESS.project(noise, batch)
    assert float((target - exact).square().mean().sqrt()) < 0.02


def test_times_of_whole_steps_stay() -> None:
    """LiDiff's have no gradient; factors and shares are learned."""
    process = LocalNoise()
    origin = torch.randn(4, COUNT, 3, generator=generator("origin"))

    def places(update: int) -> tuple[Batch, Tensor]:
        batch, noise = drawn(update)
        return Batch(batch.mask, origin=origin), noise

    def drawn_in(
        noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        keep = 1 / (1 + process.sigma(time)[:, None, None] ** 2)
        assert batch.origin is not None
        return batch.origin + keep * (noisy - batch.origin)

    how = Learn(updates=40, teacher_steps=30, rate=0.1)
    learned = learn_solver(drawn_in, process, STEPS, how, places)
    torch.testing.assert_close(
        torch.tensor(learned.sampler.times), process.times(STEPS), rtol=0, atol=2e-3
    )
    assert learned.after < 0.5 * learned.before


def test_corrections_that_cannot_be_are_refused() -> None:
    one = Correction(kept=(1.0,), change=(0.0,))
    Renoise(steps=2, eta=0, correction=one)
    for wrong in ({"steps": 3, "eta": 0}, {"steps": 2}, {"steps": 2, "eta": [0.0, 0.5]}):
        with pytest.raises(ValueError, match="correction"):
            Renoise.model_validate({**wrong, "correction": one})
    with pytest.raises(ValueError, match="learn goes without"):
        Tuned.model_validate({"kind": "tuned", "learn": {}, "rescale": {}})


def test_what_was_there_is_written_as_it_was() -> None:
    """So no set has to be sampled again because samplers can be learned."""
    assert "correction" not in Renoise().model_dump() and "learn" not in Tuned(
        kind="tuned"
    ).model_dump(mode="json")


def test_a_network_of_nan_ends_in_one_line() -> None:
    class Broken(ToyDenoiser):
        def forward(self, *given: object, **more: object) -> Tensor:
            return super().forward(*given, **more) * float("nan")

    with pytest.raises(FewstepError, match="left the finite numbers at update 0"):
        learn_solver(Broken(0).requires_grad_(False), PROCESS, 2, Learn(updates=3), drawn)


def test_a_wild_rate_gives_times_that_can_be_written() -> None:
    denoiser = GaussianDenoiser(1.0, 0.5, COUNT).requires_grad_(False)
    try:
        learned = learn_solver(denoiser, PROCESS, 16, Learn(updates=12, rate=1.0), drawn)
    except FewstepError as error:
        assert "lower learn.rate" in str(error).lower()
    else:
        assert sorted(set(learned.sampler.times or ())) == list(learned.sampler.times or ())
