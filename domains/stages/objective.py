"""The objective that a student's settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from domains.config import (
    AdversarialConfig,
    ConsistencyConfig,
    DiffusionDPOConfig,
    Distil,
    DistillationDPOConfig,
    FDistillConfig,
    FlowMapConfig,
    PhasedDMDConfig,
    ProgressiveConfig,
    RCMConfig,
    ScoreLiDARConfig,
    SFDConfig,
    SiDConfig,
    SIMConfig,
    TDMConfig,
    Times,
)
from domains.distillation.noise import TimeDistribution
from domains.distillation.objectives import (
    RCM,
    SFD,
    SIM,
    TDM,
    VSD,
    Adversarial,
    Consistency,
    DiffusionDPO,
    DistillationDPO,
    FDistill,
    FlowMap,
    Objective,
    PhasedDMD,
    Progressive,
    ScoreLiDAR,
    SiD,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from domains.distillation.objectives.adversarial import Judge
    from domains.distillation.roles import Draws
    from domains.domain import Batch, Domain

__all__ = ["build_objective"]


def build_objective(
    section: Distil, domain: Domain, network: nn.Module, tools: Path | None = None
) -> Objective:
    """Return the objective of a student's section; data are read only if it needs some.

    Args:
        section: The student's settings.
        domain: What its preference, structure, judge and data are.
        network: The teacher, which encodes what data are conditioned on.
        tools: Where fetched weights of a preference are.
    """
    config = section.objective
    if isinstance(config, ConsistencyConfig):
        draw = _examples(section, domain, network)
        return Consistency(draw, config.grid, config.huber, config.scale)
    if isinstance(config, ProgressiveConfig):
        return Progressive(config.substeps, config.noise_scale, config.huber, config.scale)
    if isinstance(config, FlowMapConfig):
        how = config.substeps, config.huber, config.align, config.step_weights
        return FlowMap(*how, config.scale)
    if isinstance(config, DiffusionDPOConfig):
        at, noise = _times(config.times), config.pair_noise
        ranked = domain.preference(config.preference, tools)
        return DiffusionDPO(at, ranked, noise, config.beta, config.scale)
    times = _times(config.student_times), _times(config.fake_times)
    if isinstance(config, DistillationDPOConfig):
        bound, scale = config.loser_bound, config.scale
        ranked = domain.preference(config.preference, tools)
        return DistillationDPO(*times, ranked, config.pair_noise, bound, scale)
    if isinstance(config, ScoreLiDARConfig):
        weights = {"scene": config.scene_weight, "point": config.point_weight}
        return ScoreLiDAR(*times, domain.structure, weights, config.scale)
    if isinstance(config, SIMConfig):
        return SIM(*times, config.huber, config.scale)
    if isinstance(config, TDMConfig):
        return TDM(*times, config.fake_target, config.scale)
    if isinstance(config, SFDConfig):
        override = domain.overriding(network, config.forget, config.instead)
        alpha, scale = config.alpha, config.scale
        return SFD(*times, override, config.weight, alpha, scale, config.weighting)
    if isinstance(config, RCMConfig):
        draw, at = _examples(section, domain, network), _times(config.tangent_times)
        how = config.weight, config.difference, config.warmup
        return RCM(*times, draw, at, *how, config.scale)
    if isinstance(config, PhasedDMDConfig):
        return PhasedDMD(*times, config.phases, config.scale)

    def judged(given: AdversarialConfig) -> tuple[Judge, Callable[[Draws], Batch], float, float]:
        draw = _examples(section, domain, network)
        return domain.judge, draw, given.weight, given.critic_weight

    if isinstance(config, FDistillConfig):
        return FDistill(config.divergence, *times, *judged(config.adversarial), config.scale)
    if isinstance(config, SiDConfig):
        base = SiD(*times, config.alpha, config.scale, config.weighting)
    else:
        base = VSD(*times, config.scale)
    return base if config.adversarial is None else Adversarial(base, *judged(config.adversarial))


def _examples(section: Distil, domain: Domain, network: nn.Module) -> Callable[[Draws], Batch]:
    """Return what draws real data, encoded as the student's batches are."""
    real = domain.examples(section, network)

    def draw(draws: Draws) -> Batch:
        with torch.no_grad():
            return domain.encode(network, real(draws).to(draws.device))

    return draw


def _times(config: Times) -> TimeDistribution:
    return TimeDistribution(config.kind, config.low, config.high)
