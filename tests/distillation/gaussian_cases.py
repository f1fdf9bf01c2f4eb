"""Objectives under test, with the gradient of each derived by hand; a new one joins by a line.

Gradients are compared with those derived by hand for a Gaussian teacher N(a_T m, s_T²) and a
student x = a m + c ε, at one time t, with b = 1 − t and k_S the slope of the posterior mean of
a Gaussian of std S (``toy.slope``). Then, per coordinate,

    D_T = a_T m (1 − t k_T) + k_T (t x + b ε'),    D_F the same with (a, c) in place of T.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from distillation.make import make
from distillation.toy import (
    slope,
    template,
)
from torch import Tensor

from domains.batch import Batch
from domains.distillation.objectives.distillation_dpo import DistillationDPO
from domains.distillation.objectives.objective import Objective, per_sample
from domains.distillation.objectives.phased_dmd import PhasedDMD
from domains.distillation.objectives.score_lidar import ScoreLiDAR
from domains.distillation.objectives.sfd import SFD
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.sim import SIM
from domains.distillation.objectives.vsd import VSD
from domains.distillation.process import FlowMatching
from domains.distillation.times import Times

COUNT, SAMPLES = 400, 96
PROCESS = FlowMatching()
DEGREES = (COUNT - 1) / COUNT  # centring takes one point's worth of noise


def mean_size(mean: Tensor, variance: float) -> float:
    """E|y| over coordinates y ~ N(mean, variance): folded normals."""
    folded = mean * torch.erf(mean / math.sqrt(2 * variance)) + math.sqrt(
        2 * variance / math.pi
    ) * torch.exp(-(mean**2) / (2 * variance))
    return float(folded.mean())


@dataclass(frozen=True)
class Gaussians:
    """Teacher N(1 · m, s_T²) and student N(a m, c²), observed at time t."""

    shift: float
    std: float
    teacher_std: float
    time: float

    @property
    def slopes(self) -> tuple[float, float]:
        t = torch.tensor(self.time, dtype=torch.float64)
        return float(slope(self.teacher_std, t)), float(slope(self.std, t))

    def normaliser(self) -> float:
        """E|x − D_T| over coordinates: folded normals around (a − a_T)(1 − t k_T) m."""
        t, (k, _) = self.time, self.slopes
        mean = (self.shift - 1) * (1 - t * k) * template(COUNT).double()
        variance = DEGREES * ((self.std * (1 - t * k)) ** 2 + (k * (1 - t)) ** 2)
        return mean_size(mean, variance)

    def marginals(self) -> tuple[float, float, float]:
        """Mean difference (in units of m) and variances of student and teacher at t."""
        noise = (1 - self.time) ** 2
        student = (self.time * self.std) ** 2 + noise
        return self.time * (self.shift - 1), student, (self.time * self.teacher_std) ** 2 + noise


Gradient = tuple[float, float]


def vsd_gradient(case: Gaussians) -> Gradient:
    """w E[Δ ∂x/∂θ] with Δ = (a − a_T)(1 − t k_T) m + (k_F − k_T)(t c ε + b ε')."""
    t, (k, k_f) = case.time, case.slopes
    w = 1 / case.normaliser()
    return w * (case.shift - 1) * (1 - t * k), w * DEGREES * (k_f - k) * t * case.std


def winner_gradient(case: Gaussians) -> Gradient:
    """VSD's without its normaliser, in units of noise: s = (t / (1 − t)) (D_F − D_T)."""
    by_shift, by_std = vsd_gradient(case)
    factor = case.normaliser() * case.time / (1 - case.time)
    return factor * by_shift, factor * by_std


def smaller(points: Tensor, batch: Batch) -> Tensor:
    """A preference that knows neither padding nor order."""
    return -per_sample(points**2, batch)


def no_structure(points: Tensor, batch: Batch) -> dict[str, Tensor]:
    return {}


def all_forgotten(batch: Batch) -> tuple[Tensor, Batch]:
    """Every sample is of the class to forget, and the teacher is told the same."""
    return torch.ones(len(batch.mask), dtype=torch.bool), batch


def sid_gradient(alpha: float) -> Callable[[Gaussians], Gradient]:
    """Derivative of w E[δ (r − α δ)], δ = D_T − D_F = P m + κ (t c ε + b ε'), r = D_T − x.

    At the student's own fake score, P = r's mean part = (a_T − a)(1 − t k_T), P' = κ t with
    κ = k_T − k_F, and r' = −(1 − t k_T).
    """

    def gradient(case: Gaussians) -> Gradient:
        t, (k, k_f) = case.time, case.slopes
        w, kappa, p = 1 / case.normaliser(), k - k_f, (1 - case.shift) * (1 - t * k)
        by_shift = kappa * t * (1 - alpha) * p + p * (-(1 - t * k) - alpha * kappa * t)
        by_std = 2 * case.std * kappa * t * ((k * t - 1) - alpha * kappa * t)
        return w * by_shift, w * DEGREES * by_std

    return gradient


HUBER = 0.05


def sim_gradient(case: Gaussians) -> Gradient:
    """Derivative of E[δ (r − δ)] / sqrt(E[δ²] + c²), of one coordinate (names as above).

    The mean squares are those of many coordinates, so that the root is of the expectation.
    """
    t, (k, k_f) = case.time, case.slopes
    noise, kappa, p = 1 - t, k - k_f, (1 - case.shift) * (1 - t * k)
    square = p**2 + DEGREES * kappa**2 * ((t * case.std) ** 2 + noise**2)
    # r − δ = D_F − x has no mean part: its coefficients of c ε and b ε' are t k_F − 1 and k_F.
    product = DEGREES * kappa * (t * case.std**2 * (t * k_f - 1) + noise**2 * k_f)
    root = math.sqrt(square + HUBER**2)
    found = []
    for value, by in zip(sid_gradient(1.0)(case), square_gradient(case), strict=True):
        found.append(value * case.normaliser() / root - product * by / (2 * root**3))
    return found[0], found[1]


def square_gradient(case: Gaussians) -> Gradient:
    """Derivative of E[δ²] through x and x_t, the fake score being what it is."""
    t, (k, k_f) = case.time, case.slopes
    kappa, p = k - k_f, (1 - case.shift) * (1 - t * k)
    return 2 * p * kappa * t, 2 * DEGREES * kappa**2 * t**2 * case.std


def reverse_kl(case: Gaussians) -> float:
    """KL(student ‖ teacher) of the noised marginals, per coordinate."""
    mean, student, teacher = case.marginals()
    return 0.5 * (student / teacher + mean**2 / teacher - 1 - math.log(student / teacher))


def fisher(case: Gaussians) -> float:
    """E‖∇log p_F − ∇log p_T‖² of the noised marginals under the student, per coordinate."""
    mean, student, teacher = case.marginals()
    return (1 / teacher - 1 / student) ** 2 * student + (mean / teacher) ** 2


@dataclass(frozen=True)
class Case:
    """An objective, the gradient it should have and the divergence it should lower."""

    name: str
    build: Callable[[Times], Objective]
    gradient: Callable[[Gaussians], Gradient]
    divergence: Callable[[Gaussians], float]


CASES = [
    Case("vsd", lambda t: make(VSD, times=t), vsd_gradient, reverse_kl),
    Case("sid", lambda t: make(SiD, times=t, scale=1.0), sid_gradient(1.0), fisher),
    # With the loser bounded away; what the pair adds stands in test_distillation_dpo.py.
    Case(
        "dpo-winner",
        lambda t: make(DistillationDPO, times=t, prefers=smaller, pair_noise=1.0, loser_bound=0.0),
        winner_gradient,
        reverse_kl,
    ),
    Case(
        "score_lidar",
        lambda t: make(ScoreLiDAR, times=t, errors=no_structure),
        vsd_gradient,
        reverse_kl,
    ),
    # What more phases do stands in test_phased_dmd.py.
    Case("phased-1", lambda t: make(PhasedDMD, times=t, phases=1), vsd_gradient, reverse_kl),
    Case("sim", lambda t: make(SIM, times=t, huber=HUBER), sim_gradient, fisher),
    # What it adds stands in test_sfd.py.
    Case(
        "sfd",
        lambda t: make(SFD, times=t, override=all_forgotten, weight=0.5, scale=2.0),
        sid_gradient(1.2),
        fisher,
    ),
    Case("sid-1.2", lambda t: make(SiD, times=t, alpha=1.2, scale=1.0), sid_gradient(1.2), fisher),
]
every_objective = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_roll_out = pytest.mark.parametrize("steps", [1, 4], ids=lambda k: f"K{k}")
every_setting = pytest.mark.parametrize(
    "setting",
    [
        Gaussians(1.0, 0.9, 0.5, 0.6),
        Gaussians(1.0, 0.3, 0.8, 0.8),
        Gaussians(1.4, 0.5, 0.5, 0.5),
        Gaussians(0.2, 0.4, 0.7, 0.7),
    ],
    ids=["wide", "narrow", "beyond", "short"],
)
