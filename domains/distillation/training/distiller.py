"""The one LightningModule: alternates fake scores and student; contains no formula."""

# pyright: reportUnknownMemberType=false

import copy
import time
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from domains.batch import Batch
from domains.device import waits
from domains.distillation.denoiser import Denoiser
from domains.distillation.network_calls import NetworkCalls
from domains.distillation.roles import Draws, Loss, Roles
from domains.distillation.training.average import Best, advance
from domains.distillation.training.degradation import DegradationPath
from domains.distillation.training.finiteness import Finiteness
from domains.distillation.training.optimiser import (
    build_optimiser,
    fuse,
    learn_only,
    learning_rate,
    set_rate,
    unfused_state,
)
from domains.distillation.training.plan import Plan
from domains.distillation.training.processes import average_gradients, first, total, unsynchronised
from domains.distillation.training.settings import Extent
from domains.errors import FewstepError

__all__ = ["STUDENT", "Distiller"]

STUDENT = "student"


class Distiller(pl.LightningModule):
    """Trains a student, and the fake scores that its objective needs.

    A step of the data loader is one update of the student, identified by its number alone:
    all numbers are drawn by (seed, name, step, micro-batch, role), so a resumed run equals an
    uninterrupted one bit for bit, and n processes equal one that accumulates n times more.

    Args:
        plan: Objective, data, length and roles of the training.
        student: Network to train (a copy of the teacher, or a fresh one).
        teacher: Frozen network, or None when a teacher itself is trained.
    """

    def __init__(self, plan: Plan, student: nn.Module, teacher: nn.Module | None = None):
        super().__init__()
        self.automatic_optimization = False
        self.plan = plan
        self.student = student
        known = student if teacher is None else teacher
        self.fakes = nn.ModuleDict(
            {name: copy.deepcopy(known).requires_grad_(True) for name in plan.objective.fake_scores}
        )
        self.average = copy.deepcopy(student).requires_grad_(False).eval()
        # In a tuple, so that Lightning neither counts it as trainable nor saves it.
        self._teacher = (None if teacher is None else teacher.requires_grad_(False).eval(),)
        self.path = None if plan.degradation is None else DegradationPath(plan.degradation, known)
        self.done = 0
        self.network_calls = 0
        self.seconds, self._looked_at = 0.0, time.monotonic()
        self._progress = self._student_start = 0.0
        self.calls = NetworkCalls()
        for network in (self.student, *self.fakes.values(), *self._teacher, *plan.frozen_networks):
            if network is not None:
                self.calls.watch(network)
        self.best = Best()
        self.finiteness = Finiteness()
        self.role_optimisers: dict[str, Optimizer] = {
            role: build_optimiser(network, plan.optimisers[role])
            for role, network in self._networks().items()
        }
        # A part of the student that was frozen when it came stays frozen.
        self._trainable = {
            role: [parameter for parameter in network.parameters() if parameter.requires_grad]
            for role, network in self._networks().items()
        }
        self.diagnostics: dict[str, Tensor | float] = {}
        self._noted: defaultdict[str, list[Tensor | float]] = defaultdict(list)
        self._played: dict[int, tuple[Batch, Tensor]] = {}

    def _networks(self) -> dict[str, nn.Module]:
        return {STUDENT: self.student, **dict(self.fakes.items())}

    @property
    def finished(self) -> bool:
        """Whether training has reached its end."""
        return self.plan.fit.is_done(self.extent)

    @property
    def extent(self) -> Extent:
        """How far training is."""
        return Extent(self.done, self.network_calls, self.seconds)

    @property
    def teacher(self) -> nn.Module | None:
        """The frozen teacher."""
        return self._teacher[0]

    def configure_optimizers(self) -> list[Optimizer]:
        """Hand the optimisers to Lightning (they exist since construction)."""
        return list(self.role_optimisers.values())

    def on_fit_start(self) -> None:
        """Move the frozen networks to the device (Lightning does not see them); start the clock."""
        self._looked_at, self.finiteness.late = time.monotonic(), waits(self.device)
        if self.finiteness.late:
            for optimiser in self.role_optimisers.values():
                fuse(optimiser)
        for network in (self.teacher, *self.plan.frozen_networks):
            if network is not None:
                network.to(self.device)

    def training_step(self, step: int, batch_idx: int) -> None:
        """Update the fake scores, then, once the path is recorded, the student and its average."""
        self._noted.clear()
        self._progress = self.plan.fit.progress(self.extent._replace(steps=step))
        self._play(step)
        for repeat in range(self.plan.fake_updates):
            for name in self.plan.objective.fake_scores:
                self._update(name, step, repeat)
        if self.path is not None and self.path.recording(step):
            self.path.record(step, self.fakes[self.plan.objective.fake_scores[0]])
        else:
            self._update_student(step)
        self.done = step + 1
        self._count()
        if self.finished and self.path is not None and step < self.path.plan.arrival:
            raise FewstepError(
                f"training ended at step {step}, on the way to the teacher",
                expected=f"more than {self.path.plan.arrival} steps of degradation and return",
                do="Give more network_calls, or a shorter degradation",
            )
        # Means over micro-batches and repeated updates.
        self.diagnostics = {name: _mean(seen) for name, seen in self._noted.items()}
        if self.finiteness.full:
            self.finiteness.settle()

    def _update_student(self, step: int) -> None:
        if step == self._first_step(STUDENT):
            self._student_start = self._progress
        self._update(STUDENT, step, 0)
        done = step - self._first_step(STUDENT)
        advance(self.average, self.student, min(self.plan.fit.ema, (1 + done) / (10 + done)))
        self._maybe_reset(step)
        if self.path is not None:
            self._noted["degradation/stage"].append(float(self.path.stage(step)))

    def _first_step(self, role: str) -> int:
        """Return the first step that updates a role."""
        return self.path.plan.recording if self.path is not None and role == STUDENT else 0

    def _behind(self, role: str) -> float:
        """Return the completed share of a role's own training, 0 to 1."""
        start = self._student_start if role == STUDENT else 0.0
        return (self._progress - start) / (1 - start) if start < 1 else 1.0

    def _roles(self, role: str, step: int) -> Roles:
        target = self.teacher if self.path is None else self.path.target(step)
        # A recorded fake score is asked as the fake score was when it learned the samples: what
        # sharpens the teacher would carry the first of them away from the student.
        wrap = self.plan.as_teacher if target is self.teacher else self.plan.as_learning_fake
        teacher: Denoiser | None = None if target is None else wrap(target)
        fakes: dict[str, Denoiser] = dict(self.fakes.items())
        plan = self.plan
        return Roles(
            process=plan.process,
            student=self.student,
            teacher=teacher,
            fakes=fakes,
            roll_out=plan.roll_out,
            as_fake=plan.as_fake if role == STUDENT else plan.as_learning_fake,
            step=step,
            progress=self._progress,
            calls=self.calls,
        )

    def _update(self, role: str, step: int, repeat: int) -> None:
        """Make one optimiser step of one role over all micro-batches of all processes."""
        optimiser, parameters = self.role_optimisers[role], self._trainable[role]
        learn_only(role, self._trainable)
        count, bad = self.plan.fit.accumulate, None
        for micro in self._micros():
            loss = self._loss(role, step, repeat, micro)
            for term, noted in {"loss": loss.value, **loss.diagnostics}.items():
                self._noted[f"{role}/{term}"].append(noted.detach())
            value, found = self.finiteness.checked(loss, step, role)
            bad = bad or found
            # A NaN reaches all processes with the gradients, so that all stop at this step.
            value = value if bad is None else value * float("nan")
            with unsynchronised(self.trainer.strategy):
                self.manual_backward(value / count)
        average_gradients(parameters, self.trainer.world_size)
        config = self.plan.optimisers[role]
        norm = nn.utils.clip_grad_norm_(parameters, config.clip)
        rate = learning_rate(config, step - self._first_step(role), self._behind(role))
        set_rate(optimiser, rate)
        self.finiteness.step(step, role, optimiser, norm, self._networks()[role], bad)
        self._noted[f"{role}/gradient_norm"].append(norm)
        self._noted[f"{role}/rate"].append(rate)

    def _play(self, step: int) -> None:
        """Play the student where all roles of a step learn from one roll-out of it."""
        self._played.clear()
        if self.plan.roll_out is None or not self.plan.roll_out.shared:
            return
        learn_only(STUDENT, self._trainable)
        roles = self._roles(STUDENT, step)
        for micro in self._micros():
            batch, draws = self._batch(STUDENT, step, 0, micro)
            self._played[micro] = batch, roles.play(batch, draws, gradient=True)

    def _micros(self) -> range:
        """Return the numbers of this process's micro-batches."""
        processes = self.trainer.world_size
        return range(self.global_rank, self.plan.fit.accumulate * processes, processes)

    def _batch(self, role: str, step: int, repeat: int, micro: int) -> tuple[Batch, Draws]:
        draws = Draws((*self.plan.key, step, repeat, micro, role), self.device)
        each = self.plan.fit.accumulate * self.trainer.world_size
        return self.plan.batches(step * each + micro, draws).to(self.device), draws

    def _loss(self, role: str, step: int, repeat: int, micro: int) -> Loss:
        objective, roles = self.plan.objective, self._roles(role, step)
        batch, draws = self._batch(role, step, repeat, micro)
        if micro in self._played:
            batch, sample = self._played[micro]
            roles = replace(roles, sample=sample)
        if role == STUDENT:
            return objective.student_loss(roles, batch, draws)
        return objective.fake_score_loss(role, roles, batch, draws)

    def _count(self) -> None:
        """Add the calls of this step, of all processes, and the time since the last one."""
        together = self.trainer.world_size, self.device
        self.network_calls += total(self.calls.total, *together)
        self.calls.total = 0
        if (
            self.plan.fit.seconds is not None
        ):  # else a resumed training is the whole one, bit by bit
            now = time.monotonic()
            # On the first one's clock, or they would not end together.
            self.seconds += first(now - self._looked_at, *together)
            self._looked_at = now

    def _maybe_reset(self, step: int) -> None:
        every = self.plan.reset_fake_every
        if every and (step + 1) % every == 0 and self.teacher is not None:
            for name, fake in self.fakes.items():
                fake.load_state_dict(self.teacher.state_dict())
                self.role_optimisers[name].state.clear()

    def consider(self, score: float) -> bool:
        """Remember the present average if it scores better than all before."""
        if not score > self.best.score:  # NaN is never the best
            return False
        weights = {name: value.cpu().clone() for name, value in self.average.state_dict().items()}
        self.best = Best(score, self.done, weights)
        return True

    def training_state(self) -> dict[str, Any]:
        """Return all that a resumed run needs."""
        return {
            "done": self.done,
            "network_calls": self.network_calls,
            "student_begun": self._student_start,
            "networks": {role: net.state_dict() for role, net in self._networks().items()},
            "average": self.average.state_dict(),
            "optimisers": {role: unfused_state(opt) for role, opt in self.role_optimisers.items()},
            "best": vars(self.best),
            "path": [] if self.path is None else self.path.records,
            **({} if self.plan.fit.seconds is None else {"seconds": self.seconds}),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state of an interrupted run."""
        for role, network in self._networks().items():
            network.load_state_dict(state["networks"][role])
            self.role_optimisers[role].load_state_dict(state["optimisers"][role])
        self.average.load_state_dict(state["average"])
        if self.path is not None:
            self.path.restore(state["path"])
        self.best = Best(**state["best"])
        self.done, self.network_calls = state["done"], state["network_calls"]
        self._student_start, self.seconds = state["student_begun"], state.get("seconds", 0.0)


def _mean(seen: list[Tensor | float]) -> Tensor | float:
    """Return the mean over micro-batches; of sums and counts (see ``Loss``) their sum."""
    whole = sum(seen)
    return whole if isinstance(whole, Tensor) and whole.ndim else whole / len(seen)
