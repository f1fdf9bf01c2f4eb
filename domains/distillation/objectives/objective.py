"""The contract of every distillation objective."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from jaxtyping import Bool, Float

from domains.batch import Batch
from domains.device import sent
from domains.distillation.denoiser import Denoiser
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss, Roles, by_time
from domains.distillation.student import Student
from domains.distillation.times import Times
from domains.lazy import torch
from domains.settings import Config

__all__ = [
    "Judge",
    "Objective",
    "ObjectiveConfig",
    "Override",
    "Resources",
    "Student",
    "ask_at",
    "ask_scores",
    "denoise",
    "denoise_at",
    "denoise_samples",
    "denoising_loss",
    "lag",
    "per_sample",
    "pseudo_huber",
]


class ObjectiveConfig(Config):
    """Settings shared by all objectives; each objective's file has its own."""

    kind: Any  # in each objective's own settings a text, the same for all of them
    """Chooses this objective."""
    degradable: ClassVar[bool] = False
    """Whether DisBack applies: the objective has one fake score, never reset."""
    shares_roll_out: ClassVar[bool] = False
    """Whether fake score and student look at samples alike: `roll_out.shared` applies."""
    whole_samples: ClassVar[bool] = False
    """Whether samples are measured, so that all of their points are needed in training."""

    @property
    def needs_tools(self) -> bool:
        """Whether it asks networks whose weights have to be fetched."""
        return False

    @property
    def asks_teacher(self) -> bool:
        """Whether its losses call the teacher: else what shapes the teacher's answer is unused."""
        return True

    def check(self, student: Student) -> None:
        """Raise ValueError if the student's other settings do not go with this objective."""


@runtime_checkable
class Resources(Protocol):
    """A field's functions for an objective, asked for when it is built.

    Each raises FewstepError where the field has no such thing.
    """

    def examples(self) -> Callable[[Draws], Batch]:
        """Build a source of real data, as many as a micro-batch of the student has."""
        ...

    def judge(self) -> Judge:
        """Return the network call that also says how real each point looks."""
        ...

    def preference(self, kind: str) -> Callable[[torch.Tensor, Batch], torch.Tensor]:
        """Build a ranking of samples: [b, n, 3] to [b], higher is better."""
        ...

    def structure(self) -> Callable[[torch.Tensor, Batch], dict[str, torch.Tensor]]:
        """Return the field's differentiable structural errors of samples, by name."""
        ...

    def overriding(self, forget: str, instead: str | None) -> Override:
        """Build a function that flags a batch's samples of class ``forget`` [b] and relabels them.

        The batch that it returns has ``instead``, or no class at all, in its place.
        """
        ...


@runtime_checkable
class Judge(Protocol):
    """A network call that returns the clean estimate, and a logit of each point: real or not."""

    def __call__(
        self, denoiser: Any, noisy: torch.Tensor, time: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the clean estimate [b, n, 3] and the logits [b, n]."""
        ...


@runtime_checkable
class Override(Protocol):
    """A function that flags and relabels samples (see ``Resources.overriding``)."""

    def __call__(self, batch: Batch, /) -> tuple[Bool[torch.Tensor, " b"], Batch]:
        """Flag samples of the class to forget [b] and relabel them for the teacher."""
        ...


S = TypeVar("S", bound=ObjectiveConfig)


class Objective(ABC, Generic[S]):
    """Two losses: one that keeps the fake scores honest, one that moves the student.

    An objective draws its roll-outs and times from ``draws`` and calls only the networks in
    ``roles``; it neither steps optimisers nor logs. Its file holds its settings, too: the type
    in brackets, ``class VSD(Objective[VSDConfig])``, is how the registry finds them.

    Args:
        settings: Its settings.
        resources: The field's functions; objectives without data and preferences need none.
    """

    fake_scores: tuple[str, ...] = ()

    def __init__(self, settings: S, resources: Resources | None = None):
        self.settings = settings

    @classmethod
    def build(cls, settings: S, resources: Resources) -> Objective[Any]:
        """Build the objective that the settings describe, with what goes beside it."""
        return cls(settings, resources)

    def fake_score_loss(self, name: str, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compute the loss of one fake score on fresh samples of the student.

        Raises:
            ValueError: The objective has no such fake score.
        """
        raise ValueError(f"{type(self).__name__} has no fake score {name}")

    @abstractmethod
    def student_loss(self, roles: Roles, batch: Batch, draws: Draws) -> Loss:
        """Compute the loss of the student."""


def per_sample(values: Float[torch.Tensor, "b n 3"], batch: Batch) -> Float[torch.Tensor, " b"]:
    """Return the sum over the real points of each sample."""
    return (values * batch.mask[..., None]).sum((1, 2))


def pseudo_huber(
    estimate: Float[torch.Tensor, "b n 3"],
    target: Float[torch.Tensor, "b n 3"],
    batch: Batch,
    huber: float,
) -> Float[torch.Tensor, " b"]:
    """Compute sqrt(RMS² + c²) − c of each sample's difference (2310.14189, eq. 8); c is ``huber``.

    Differences below c count squared, larger ones by their size; in the data's unit.
    """
    square = per_sample((estimate - target) ** 2, batch) / (3 * batch.sizes)
    return (square + huber**2).sqrt() - huber


def denoising_loss(
    estimate: Float[torch.Tensor, "b n 3"],
    clean: Float[torch.Tensor, "b n 3"],
    time: Float[torch.Tensor, " b"],
    batch: Batch,
    process: NoiseProcess,
) -> Float[torch.Tensor, " b"]:
    """Return w(t) · mean ‖x − D‖² of each sample: the teacher's own loss (Proteina, eq. 3)."""
    error = per_sample((estimate - clean) ** 2, batch) / (3 * batch.sizes)
    return error * process.denoising_weight(time)


def ask_scores(
    clean: Float[torch.Tensor, "b n 3"],
    roles: Roles,
    batch: Batch,
    draws: Draws,
    times: Times,
    *,
    gradient: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise samples of the student; return D_T and D_F of them [b, n, 3], and the times [b].

    Args:
        clean: Samples of the student.
        roles: Teacher, and the fake score called "fake".
        batch: Mask, origin, condition.
        draws: Numbers of this micro-batch.
        times: Distribution of the times at which both are evaluated.
        gradient: Differentiate through both scores.
    """
    time = sent(times.sample(clean.shape[0], draws.source("time")), clean.device)
    noisy = roles.process.perturb(clean, draws.noise("noise")(batch.shape), time, batch)
    teacher, fake = ask_at(noisy, time, roles, batch, gradient=gradient)
    return teacher, fake, time


def ask_at(
    noisy: Float[torch.Tensor, "b n 3"],
    time: Float[torch.Tensor, " b"],
    roles: Roles,
    batch: Batch,
    name: str = "fake",
    *,
    gradient: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return D_T and D_F of noised samples [b, n, 3], the fake score being that of ``name``."""
    assert roles.teacher is not None
    with torch.set_grad_enabled(gradient):
        return roles.teacher(noisy, time, batch), roles.fake(name)(noisy, time, batch)


def denoise_samples(
    denoiser: Denoiser, roles: Roles, batch: Batch, draws: Draws, times: Times
) -> Loss:
    """Train a fake score on the student's current samples, as the teacher was on data."""
    clean = roles.play(batch, draws, gradient=False)
    return denoise(denoiser, clean, roles, batch, draws, times)


def denoise(
    denoiser: Denoiser,
    clean: Float[torch.Tensor, "b n 3"],
    roles: Roles,
    batch: Batch,
    draws: Draws,
    times: Times,
) -> Loss:
    """Return the teacher's own loss on ``clean``, noised at a random time."""
    time = sent(times.sample(clean.shape[0], draws.source("time")), clean.device)
    noise = draws.noise("noise")(batch.shape)
    noisy = roles.process.perturb(clean, noise, time, batch)
    return denoise_at(denoiser, clean, noisy, time, roles, batch)


def denoise_at(
    denoiser: Denoiser,
    target: Float[torch.Tensor, "b n 3"],
    noisy: Float[torch.Tensor, "b n 3"],
    time: Float[torch.Tensor, " b"],
    roles: Roles,
    batch: Batch,
    weight: Float[torch.Tensor, " b"] | float = 1.0,
) -> Loss:
    """Return the teacher's own loss on points that are noised already, samples weighed."""
    estimate = denoiser(noisy, time, batch)
    loss = weight * denoising_loss(estimate, target, time, batch, roles.process)
    extra = roles.process.regulariser(estimate, noisy, time, batch)
    return Loss((loss + extra).mean(), {"denoising": loss.detach().mean()})


def lag(
    teacher: torch.Tensor, fake: torch.Tensor, clean: torch.Tensor, time: torch.Tensor, batch: Batch
) -> dict[str, torch.Tensor]:
    """Measure the gap between fake score and teacher, and the fake score's lag.

    ``gap`` is the root mean square of D_F − D_T by time; ``lag`` the fake score's error on
    the student's samples relative to the teacher's: below 1 it knows them better.
    """
    with torch.no_grad():
        count = 3 * batch.sizes
        gap = (per_sample((fake - teacher) ** 2, batch) / count).sqrt()
        error = per_sample((fake - clean) ** 2, batch)
        reference = per_sample((teacher - clean) ** 2, batch)
        return {"gap": gap.mean(), "lag": (error / reference).mean(), **by_time("gap", gap, time)}
