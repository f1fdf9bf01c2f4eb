"""Contract: guidance and tempering are exact algebra on clean estimates."""

from dataclasses import dataclass, field

import pytest
import torch
from distillation.toy import GaussianDenoiser, blank
from torch import Tensor

from domains.batch import Batch
from domains.distillation.denoiser import AskedTwice, Denoiser, Guided, Tempered, Unconditional

NOISY = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
TIME = torch.tensor([0.3, 0.8])


@dataclass
class Constant:
    """Answers a number, plus ten if it is told the fold; remembers what it was asked."""

    value: float
    asked: list[Batch] = field(default_factory=list)
    given: list[Tensor | None] = field(default_factory=list)

    def __call__(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        self.asked.append(batch)
        self.given.append(previous)
        return torch.full_like(noisy, self.value + 10 * ("fold" in batch.condition))


def labelled() -> Batch:
    return Batch(blank([6, 4]).mask, condition={"fold": ["1.10"], "motif": 1})


def answer(denoiser: Denoiser, batch: Batch | None = None, previous: Tensor | None = None) -> float:
    out = denoiser(NOISY, TIME, batch or labelled(), previous)
    assert out.shape == NOISY.shape and (out == out.flatten()[0]).all()
    return float(out.flatten()[0])


def test_unconditional_drops_only_what_it_should_and_leaves_the_batch_alone():
    plain, batch = Constant(1), labelled()
    assert answer(plain, batch) == 11
    assert answer(Unconditional(plain, ("fold",)), batch) == 1
    assert dict(plain.asked[-1].condition) == {"motif": 1}
    assert set(batch.condition) == {"fold", "motif"}
    assert plain.asked[-1].mask is batch.mask


@pytest.mark.parametrize(("weight", "ratio"), [(2, 0), (2, 1), (1.5, 0.25), (0, 0.5), (-1, 0)])
def test_guidance_mixes_as_in_proteina(weight: float, ratio: float):
    conditional, auto = Constant(1), Constant(5)
    unconditional = Unconditional(Constant(2), ("fold",))
    guided = Guided(conditional, weight, unconditional, auto, ratio)
    expected = weight * 11 + (1 - weight) * (ratio * 15 + (1 - ratio) * 2)
    assert answer(guided) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weight", "ratio", "calls"), [(1, 0.5, 1), (2, 0, 2), (2, 1, 2), (0.5, 0.5, 3)]
)
def test_calls_of_an_estimate_are_counted(weight: float, ratio: float, calls: int):
    network = Constant(1)
    guided = Guided(network, weight, network, network, ratio)
    answer(guided)
    assert len(network.asked) == guided.calls == calls


def test_weight_one_costs_one_call():
    other = Constant(3)
    assert answer(Guided(Constant(1), 1.0, other, other, 0.5)) == 11
    assert other.asked == []


def test_parts_without_share_are_not_needed_but_the_others_are():
    assert answer(Guided(Constant(1), 2.0, auto=Constant(0), ratio=1.0)) == 2 * 11 - 10
    for ratio in (0.0, 0.5):
        with pytest.raises(ValueError, match="needs a denoiser"):
            answer(Guided(Constant(1), 2.0, auto=Constant(0), ratio=ratio))


def test_wrappers_hand_on_the_previous_estimate():
    inner, weak, previous = Constant(0), Constant(0), NOISY + 1
    wrapped = Guided(Tempered(inner, 0.5), 2.0, Unconditional(weak, ("fold",)))
    answer(wrapped, previous=previous)
    assert inner.given[-1] is previous and weak.given[-1] is previous


@pytest.mark.parametrize("scale", [1.0, 0.7, 0.45, 0.1])
@pytest.mark.parametrize("time", [0.02, 0.4, 0.98])
def test_tempering_is_exact_for_gaussian_data(scale: float, time: float):
    """N(μ, s²) to the power 1/γ² is N(μ, (γ s)²), whose estimate is known."""
    batch, t = blank([6, 6]), torch.full((2,), time)
    plain, sharp = GaussianDenoiser(1.3, 0.8, 6), GaussianDenoiser(1.3, 0.8 * scale, 6)
    found = Tempered(plain, scale)(NOISY, t, batch)
    torch.testing.assert_close(found, sharp(NOISY, t, batch), rtol=1e-4, atol=1e-5)


def test_tempering_is_differentiable_in_the_point():
    noisy = NOISY.clone().requires_grad_()
    Tempered(GaussianDenoiser(1, 0.8, 6), 0.5)(noisy, TIME, blank([6, 6])).sum().backward()
    assert noisy.grad is not None and noisy.grad.abs().min() > 0


def test_asked_twice_the_second_answer_is_told_the_first() -> None:
    network, previous = Constant(3.0), torch.ones_like(NOISY)
    assert answer(AskedTwice(network), previous=previous) == 13.0
    first, second = network.given
    assert first is previous
    assert second is not None and (second == 13.0).all()
