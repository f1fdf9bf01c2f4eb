"""DisBack (arXiv 2408.15991): distilling along recorded intermediate teachers."""

import copy

from torch import Tensor, nn

from domains.distillation.training.settings import Degradation

__all__ = ["DegradationPath"]


class DegradationPath:
    """Recorded networks between the untrained student and the teacher, and their schedule.

    *Degradation recording*: the fake score, a copy of the teacher, learns the samples of the
    untrained student. Its weights are recorded at equal distances on the way; the last of them
    are where it goes on from, and no target. *Backtracking*: the records take the teacher's
    place one after the other, the latest first, ``switch_every`` steps each, and then the
    teacher itself. Only the teacher is tempered and guided: a record is the score of samples that
    the student has made. (The published pseudo-code has an integer division of the step
    number where its remainder is meant.)

    Records are on the CPU and each is dropped when it has been passed; one more network is on
    the teacher's device until the teacher is the target.

    Args:
        plan: How many records, how far apart, how long each is the target.
        teacher: The frozen teacher, where the path ends.
    """

    def __init__(self, plan: Degradation, teacher: nn.Module):
        self.plan, self.teacher = plan, teacher
        self.records: list[dict[str, Tensor]] = []
        self._waypoint: nn.Module | None = None
        self._loaded = -1

    def recording(self, step: int) -> bool:
        """Return whether a step records the path: the student stays as it is."""
        return step < self.plan.recording

    def stage(self, step: int) -> int:
        """Return the number of recorded targets left behind at a step: all at the teacher."""
        return min((step - self.plan.recording) // self.plan.switch_every, self.plan.checkpoints)

    def record(self, step: int, fake: nn.Module) -> None:
        """Keep the fake score's weights after ``step`` if a record is due."""
        made, left = divmod(step + 1, self.plan.steps)
        if not left and made <= self.plan.checkpoints:
            state = fake.state_dict()
            # A clone: on the CPU, ``cpu`` returns the very weights that training goes on with.
            self.records.append({name: value.cpu().clone() for name, value in state.items()})

    def target(self, step: int) -> nn.Module:
        """Return the network in the teacher's role at a step; it drops the records left behind."""
        if self.recording(step):
            return self.teacher
        index = self.plan.checkpoints - 1 - self.stage(step)
        del self.records[index + 1 :]
        if index < 0:
            self._waypoint = None
            return self.teacher
        if self._waypoint is None:
            self._waypoint = copy.deepcopy(self.teacher)
        if self._loaded != index:
            self._waypoint.load_state_dict(self.records[index])
            self._loaded = index
        return self._waypoint

    def restore(self, records: list[dict[str, Tensor]]) -> None:
        """Take up the records of an interrupted run."""
        self.records, self._waypoint, self._loaded = list(records), None, -1
