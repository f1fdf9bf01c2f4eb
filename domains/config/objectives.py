"""Settings of the objectives, one class each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domains.config.base import Config, FoldClass
from domains.config.preferences import DiffusionDPOConfig, DistillationDPOConfig
from domains.config.times import Times

__all__ = [
    "AdversarialConfig",
    "ConsistencyConfig",
    "Divergence",
    "FDistillConfig",
    "FakeTarget",
    "FlowMapConfig",
    "ObjectiveConfig",
    "PhasedDMDConfig",
    "ProgressiveConfig",
    "RCMConfig",
    "SFDConfig",
    "SIMConfig",
    "ScoreLiDARConfig",
    "SiDConfig",
    "TDMConfig",
    "VSDConfig",
]


Divergence = Literal[
    "reverse_kl", "kl", "jensen_shannon", "softened_reverse_kl", "hellinger", "jeffreys", "neyman"
]
FakeTarget = Literal["clean", "interval"]


class AdversarialConfig(Config):
    """A discriminator on the fake score's features, which sees real data."""

    weight: float = Field(default=0.01, gt=0)
    """Of the student's adversarial term, beside the objective's own."""
    critic_weight: float = Field(default=0.1, gt=0)
    """Of the discriminator's loss, beside the fake score's own."""


class SiDConfig(Config):
    """Score identity Distillation; the defaults are 2510.03095's."""

    kind: Literal["sid"] = "sid"
    """Chooses this objective."""
    alpha: float = 1.0
    """α of the loss: 1.2 for images, 1.0 for proteins."""
    scale: float = Field(default=100.0, gt=0)
    """Factor of the student's loss, before clipping."""
    weighting: Literal["mean", "reference"] = "mean"
    """`mean`: all sizes count alike; `reference`: small ones more, as in SiD_Protein."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""
    adversarial: AdversarialConfig | None = None
    """Add a discriminator, and so real data: SiDA; none: data-free."""


class VSDConfig(Config):
    """Variational score distillation / Diff-Instruct."""

    kind: Literal["vsd"] = "vsd"
    """Chooses this objective."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""
    adversarial: AdversarialConfig | None = None
    """Add a discriminator, and so real data: DMD2; none: data-free."""


class SIMConfig(Config):
    """Score Implicit Matching with the pseudo-Huber distance (2410.16794)."""

    kind: Literal["sim"] = "sim"
    """Chooses this objective."""
    huber: float = Field(default=0.01, gt=0)
    """c of the distance, in nm or m: smaller differences of the scores count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""


class FDistillConfig(Config):
    """f-distill: VSD whose samples are weighed by a discriminator (2502.15681)."""

    kind: Literal["f_distill"] = "f_distill"
    """Chooses this objective."""
    divergence: Divergence = "jensen_shannon"
    """What is minimised; `reverse_kl` weighs all samples alike: DMD2."""
    adversarial: AdversarialConfig = AdversarialConfig()
    """The discriminator."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""


class TDMConfig(Config):
    """Trajectory distribution matching: VSD along a deterministic roll-out (2503.06674)."""

    kind: Literal["tdm"] = "tdm"
    """Chooses this objective; `roll_out` must be `deterministic`."""
    fake_target: FakeTarget = "clean"
    """What the fake score learns: `clean` as in the paper, which is biased where steps are large,
    but for the last; `interval`, the trajectory's own score (that of Phased DMD, 2510.27684)."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.02, high=0.995)
    """Times of the student's loss, squeezed into those that belong to the step."""
    fake_times: Times = Times(kind="uniform", low=0.02, high=0.995)
    """Times of the fake score's loss, squeezed likewise."""


class PhasedDMDConfig(Config):
    """Phased DMD: VSD in each phase of the roll-out, up to the noise it ends at (2510.27684).

    One student plays all phases; in the paper each has an expert.
    """

    kind: Literal["phased_dmd"] = "phased_dmd"
    """Chooses this objective."""
    phases: int = Field(default=2, ge=1, le=16)
    """Parts of the roll-out, each with a fake score; at most `roll_out.steps`."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.02, high=0.995)
    """Times of the student's loss, squeezed into those before the phase ends."""
    fake_times: Times = Times(kind="uniform", low=0.02, high=0.995)
    """Times of the fake scores' loss, squeezed likewise."""


class ConsistencyConfig(Config):
    """Discrete consistency distillation on real data (2303.01469): no fake scores, a baseline."""

    kind: Literal["consistency"] = "consistency"
    """Chooses this objective."""
    grid: int = Field(default=32, ge=1, le=400)
    """Times of the trajectories; each step of them is one of the teacher's."""
    huber: float = Field(default=0.01, gt=0)
    """c of the distance, in nm or m: smaller errors count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""


class ProgressiveConfig(Config):
    """Progressive distillation of re-noising, on the student's own roll-outs (after 2202.00512)."""

    kind: Literal["progressive"] = "progressive"
    """Chooses this objective."""
    substeps: int = Field(default=4, ge=1, le=100)
    """Re-noising steps of the teacher that one step of the student learns to make."""
    noise_scale: float = Field(default=1.0, ge=0)
    """Noise scale γ of them."""
    huber: float = Field(default=0.01, gt=0)
    """c of the distance, in nm or m: smaller distances count squared."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the loss, before clipping."""


class FlowMapConfig(Config):
    """Flow-map distillation of a deterministic sampler (after 2606.08375): data-free."""

    kind: Literal["flow_map"] = "flow_map"
    """Chooses this objective; `roll_out` must be `deterministic`."""
    substeps: int = Field(default=6, ge=1, le=100)
    """Steps of the teacher's ODE that one step of the student learns to make."""
    huber: float = Field(default=0.02, gt=0)
    """c of the distance, in nm or m: smaller distances count squared."""
    align: bool = False
    """Superpose each target on the student's estimate, so that rotations cost nothing."""
    step_weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Weight of each step of the roll-out in the loss; none: all alike."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the loss, before clipping."""


class RCMConfig(Config):
    """rCM: continuous-time consistency on real data, and VSD (2510.08431)."""

    kind: Literal["rcm"] = "rcm"
    """Chooses this objective."""
    weight: float = Field(default=100.0, gt=0)
    """Of the consistency; the difference of the scores has 1."""
    difference: float = Field(default=0.005, ge=0.001, le=0.1)
    """Step in time of the tangent; 0.001 is one of LiDiff's."""
    warmup: int = Field(default=0, ge=0)
    """Steps over which the tangent grows from the teacher's direction to the whole; VSD begins
    thereafter. The authors take 300 to 1000."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    tangent_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the consistency."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of VSD."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""


class SFDConfig(Config):
    """Score forgetting distillation: SiD that unlearns a fold class (2409.11219)."""

    kind: Literal["sfd"] = "sfd"
    """Chooses this objective; the student's `fold` must tell classes as fine as this one."""
    forget: FoldClass
    """The class to forget, such as `1` or `2.60`, with all that are finer."""
    instead: FoldClass | None = None
    """What the teacher answers for in its place: another class; none: for any fold, as if it
    were told none."""
    weight: float = Field(default=0.01, gt=0)
    """λ, of the samples that are asked for it; the others have 1."""
    alpha: float = 1.2
    """α of SiD's loss."""
    scale: float = Field(default=100.0, gt=0)
    """Factor of the student's loss, before clipping."""
    weighting: Literal["mean", "reference"] = "mean"
    """See `SiDConfig`."""
    student_times: Times = Times(kind="log_grid", low=0.02, high=0.98)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="beta", low=0.02, high=0.98)
    """Times of the fake score's loss."""

    @model_validator(mode="after")
    def _another_class(self) -> SFDConfig:
        if f"{self.instead}.".startswith(f"{self.forget}."):
            raise ValueError(f"instead {self.instead} is of the class to forget, {self.forget}")
        return self


class ScoreLiDARConfig(Config):
    """ScoreLiDAR: VSD with structural errors by correspondence; weights are 2412.03515's."""

    kind: Literal["score_lidar"] = "score_lidar"
    """Chooses this objective."""
    scene_weight: float = Field(default=0.5, ge=0)
    """λ of the scene-wise error: squared Chamfer distance; of proteins: bonds."""
    point_weight: float = Field(default=0.01, ge=0)
    """λ of the point-wise error: distances among key points; of proteins: clashes."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the fake score's loss."""


ObjectiveConfig = Annotated[
    SiDConfig
    | VSDConfig
    | SIMConfig
    | FDistillConfig
    | TDMConfig
    | PhasedDMDConfig
    | ConsistencyConfig
    | ProgressiveConfig
    | FlowMapConfig
    | RCMConfig
    | SFDConfig
    | DistillationDPOConfig
    | DiffusionDPOConfig
    | ScoreLiDARConfig,
    Field(discriminator="kind"),
]
