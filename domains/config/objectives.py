"""Settings of the objectives, one class each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domains.config.base import Config, FoldClass

__all__ = [
    "AdversarialConfig",
    "ConsistencyConfig",
    "DiffusionDPOConfig",
    "DistillationDPOConfig",
    "Divergence",
    "FDistillConfig",
    "FakeTarget",
    "ObjectiveConfig",
    "PhasedDMDConfig",
    "ProgressiveConfig",
    "RCMConfig",
    "Ranking",
    "SFDConfig",
    "SIMConfig",
    "ScoreLiDARConfig",
    "SiDConfig",
    "TDMConfig",
    "Times",
    "VSDConfig",
]


Divergence = Literal[
    "reverse_kl", "kl", "jensen_shannon", "softened_reverse_kl", "hellinger", "jeffreys", "neyman"
]
FakeTarget = Literal["clean", "interval"]
Ranking = Literal["quick", "cross_nll"]


class Times(Config):
    """Where training times are drawn (see ``TimeDistribution``)."""

    kind: Literal["beta", "log_grid", "uniform"]
    """Proteina's `beta`: Beta(1.9, 1) and 2 % uniform; SiD's `log_grid`: log-spaced; LiDiff's
    `uniform`."""
    low: float = Field(default=0.0, ge=0, lt=1)
    """Earliest time; 0 is noise."""
    high: float = Field(default=1.0, gt=0, le=1)
    """Latest time, above `low`; 1 is data."""

    @model_validator(mode="after")
    def _ordered(self) -> Times:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


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


class DistillationDPOConfig(Config):
    """Distillation-DPO; the defaults are 2504.11447's, but for the scale of the loss."""

    kind: Literal["distillation_dpo"] = "distillation_dpo"
    """Chooses this objective."""
    pair_noise: float = Field(default=1.1, gt=0)
    """Factor of the roll-out's noise scale for the second sample of a pair."""
    preference: Ranking = "quick"
    """What ranks a pair: `quick`, the field's own measure; `cross_nll`, ProteinMPNN (proteins)."""
    loser_bound: float | None = Field(default=None, ge=0)
    """Most of the loser's signal relative to the winner's; none: no bound."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the student's loss, before clipping."""
    student_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the student's loss."""
    fake_times: Times = Times(kind="uniform", low=0.001, high=1.0)
    """Times of the fake scores' loss."""


class DiffusionDPOConfig(Config):
    """Diffusion-DPO: the student becomes a teacher that is aligned to preferences (2311.12908).

    The teacher is the frozen reference, and draws the pairs by `roll_out`.
    """

    kind: Literal["diffusion_dpo"] = "diffusion_dpo"
    """Chooses this objective."""
    beta: float = Field(default=5000.0, gt=0)
    """β of the loss: the larger, the nearer the reference."""
    pair_noise: float = Field(default=1.1, gt=0)
    """Factor of the roll-out's noise scale for the second sample of a pair."""
    preference: Ranking = "quick"
    """What ranks a pair: `quick`, the field's own measure; `cross_nll`, ProteinMPNN (proteins)."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the loss, before clipping."""
    times: Times = Times(kind="uniform", low=0.001, high=0.98)
    """Times at which errors are compared."""


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
    | RCMConfig
    | SFDConfig
    | DistillationDPOConfig
    | DiffusionDPOConfig
    | ScoreLiDARConfig,
    Field(discriminator="kind"),
]
