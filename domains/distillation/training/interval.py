"""What is due every so many minutes of a training."""

import time
from collections.abc import Callable

from domains.distillation.training.distiller import Distiller
from domains.distillation.training.processes import first

__all__ = ["Interval"]


class Interval:
    """Says when so many minutes have passed; of several processes, on the first one's clock.

    Args:
        minutes: Between two times that something is due; None: it never is.
        clock: Returns seconds.
    """

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.monotonic):
        self.minutes, self.clock = minutes, clock
        self.last = clock()

    def due(self, distiller: Distiller) -> bool:
        """Return whether it is due after this step, until ``begin`` is called.

        At the end of a training it is.
        """
        if self.minutes is None:
            return False
        now = self.clock()
        passed = float(now - self.last >= 60 * self.minutes)
        agreed = first(passed, distiller.trainer.world_size, distiller.device)
        return bool(agreed) or distiller.finished

    def begin(self) -> None:
        """Count from now: what was due has been done, which may have taken minutes itself."""
        self.last = self.clock()
