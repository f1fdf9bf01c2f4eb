"""Contract: f-distill weighs VSD by the f-divergence that it names, and is DMD2 for reverse KL."""

import math
from collections.abc import Callable

import pytest
import torch
from distillation.gaussian_cases import CASES, every_roll_out
from distillation.make import make
from distillation.test_adversarial import (
    COUNT,
    CRITIC,
    SAMPLES,
    WEIGHT,
    adversarial,
    by_size,
    check_who_learns,
    gaussian_roles,
    orders,
    real,
    small,
    undecided,
)
from distillation.test_objectives import losses_and_gradients, module, toy_roles
from distillation.toy import TIMES, SetDraws, blank
from torch import Tensor

from domains.distillation.objectives.adversarial import (
    AdversarialConfig,
    Judge,
    Listener,
    mean_logit,
)
from domains.distillation.objectives.f_distill import (
    DIVERGENCES,
    Divergence,
    FDistill,
    importance,
)
from domains.distillation.objectives.vsd import score_differences
from domains.distillation.roles import Draws

# f(r) of D_f(p ‖ q) = E_q f(p/q), as the textbooks have them.
GENERATORS: dict[Divergence, Callable[[float], float]] = {
    "reverse_kl": lambda r: -math.log(r),
    "kl": lambda r: r * math.log(r),
    "jensen_shannon": lambda r: r * math.log(r) - (r + 1) * math.log((r + 1) / 2),
    "softened_reverse_kl": lambda r: (r + 1) * math.log((r + 1) / (2 * r)),
    "hellinger": lambda r: (1 - math.sqrt(r)) ** 2,
    "jeffreys": lambda r: (r - 1) * math.log(r),
    "neyman": lambda r: (1 - r) ** 2 / r,
}
every_divergence = pytest.mark.parametrize("divergence", DIVERGENCES)


def f_distill(
    divergence: Divergence = "kl", judge: Judge = by_size, length: int = 0, weight: float = WEIGHT
) -> FDistill:
    examples = small(length) if length else real
    return make(
        FDistill,
        times=TIMES,
        divergence=divergence,
        judged=judge,
        draw=examples,
        adversarial=AdversarialConfig.model_construct(weight=weight, critic_weight=CRITIC),
    )


@every_divergence
def test_1_h_is_the_second_derivative(divergence: Divergence):
    f, step = GENERATORS[divergence], 1e-4
    ratios = [0.2, 0.5, 1.0, 2.0, 5.0]
    second = [(f(r + step) - 2 * f(r) + f(r - step)) / step**2 for r in ratios]
    expected = torch.tensor([r * r * value for r, value in zip(ratios, second, strict=True)])
    found = importance(torch.tensor(ratios).log(), divergence)
    torch.testing.assert_close(found, (expected / expected.mean()).float(), rtol=1e-3, atol=1e-5)


@every_divergence
def test_1_the_gradient_is_that_of_vsd_weighed(divergence: Divergence):
    roles, student, _ = gaussian_roles(0.8)
    batch, draws = blank([COUNT] * SAMPLES), Draws(("weighed",))
    objective = f_distill(divergence, short_logits, weight=0.0)
    loss = objective.student_loss(roles, batch, draws).value
    found = torch.autograd.grad(loss, [student.shift, student.std])
    listener = Listener(roles, "fake", short_logits)
    clean = roles.play(batch, draws, gradient=True)
    losses, _ = score_differences(clean, listener.roles, batch, draws, TIMES)
    ratio = mean_logit(listener.logits, batch).detach().exp()
    h = DIVERGENCES[divergence](ratio)
    expected = torch.autograd.grad((h * losses).sum() / h.sum(), [student.shift, student.std])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def short_logits(denoiser, noisy: Tensor, time: Tensor, batch):
    """Logits within the bound, other ones for each sample."""
    clean, logits = by_size(denoiser, noisy, time, batch)
    return clean, logits.tanh()


@every_roll_out
def test_1_reverse_kl_is_vsd_with_a_discriminator(steps: int):
    (vsd,) = (case for case in CASES if case.name == "vsd")
    batch, draws = blank([5, 7], 7), Draws(("same",))
    found, expected = (
        objective.student_loss(toy_roles(steps), batch, draws).value
        for objective in (f_distill("reverse_kl", length=7), adversarial(vsd, examples=small(7)))
    )
    torch.testing.assert_close(found, expected)


def test_scale_is_that_of_the_scores_difference_alone():
    batch, draws, values = blank([5, 7], 7), Draws(("scale",)), []
    for scale in (1.0, 7.0):
        objective = f_distill("kl", length=7)
        objective.settings = objective.settings.model_copy(update={"scale": scale})
        loss = objective.student_loss(toy_roles(2), batch, draws)
        values.append(loss.value - WEIGHT * loss.diagnostics["adversarial"])
    torch.testing.assert_close(values[1], 7 * values[0])


@every_divergence
def test_2_every_trainable_role_learns_and_the_others_do_not(divergence: Divergence):
    check_who_learns(f_distill(divergence, length=8), steps=2)


def test_3_kl_follows_what_looks_real_and_neyman_what_does_not():
    """Two samples, of which the judge takes the first for real."""
    logits = torch.tensor([2.0, -2.0])
    kl, neyman = importance(logits, "kl"), importance(logits, "neyman")
    assert kl[0] > 1 > kl[1] and neyman[0] < 1 < neyman[1]


@every_divergence
def test_4_identical_scores_and_an_undecided_judge_give_no_signal(divergence: Divergence):
    roles = toy_roles(2)
    module(roles.fakes["fake"]).load_state_dict(module(roles.teacher).state_dict())
    objective = f_distill(divergence, undecided, length=8)
    loss = objective.student_loss(roles, blank([6, 8]), Draws(("same",))).value
    for gradient in torch.autograd.grad(loss, list(module(roles.student).parameters())):
        assert gradient.abs().max() < 1e-6


@every_divergence
def test_5_padding_and_masked_points_change_nothing(divergence: Divergence):
    def result(length: int, fill: float) -> list[Tensor]:
        mask = blank([5, 7], length).mask
        draws = SetDraws(("padding",), mask=mask, count=7, fill=fill)
        return losses_and_gradients(f_distill(divergence, length=length), 1, draws, length)

    torch.testing.assert_close(result(7, 0.0), result(12, 9.0), rtol=1e-4, atol=1e-6)


def test_a_sure_judge_does_not_make_one_sample_all():
    assert importance(torch.tensor([90.0, 0.0, 0.0]), "kl")[0] < 2.9


def test_5_permuting_points_changes_neither_loss_nor_gradient():
    found = [
        losses_and_gradients(
            make(
                FDistill,
                times=TIMES,
                divergence="kl",
                judged=by_size,
                draw=small(7, (7, 7), order),
                adversarial=AdversarialConfig(weight=WEIGHT, critic_weight=CRITIC),
            ),
            2,
            draws,
            7,
            (7, 7),
        )
        for order, draws in orders()
    ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)
