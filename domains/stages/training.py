"""What teacher training and distillation share: run, then write the model last."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from domains.config import RunConfig
from domains.distillation.distiller import Distiller
from domains.distillation.fit import process_count, run
from domains.domain import Domain
from domains.errors import FewstepError
from domains.provenance import record

__all__ = ["train_and_save"]

_log = logging.getLogger(__name__)


def train_and_save(
    domain: Domain,
    distiller: Distiller,
    state: Path,
    output: Path,
    config: RunConfig,
    validate: Callable[[Distiller], dict[str, float]] | None = None,
    **provenance: Any,
) -> None:
    """Train to the last step and write the averaged student; nothing is written before.

    Raises:
        FewstepError: Training stopped early (signal, time limit); the same command resumes.
    """
    devices, nodes = process_count()
    finished = run(distiller, state, validate, devices=devices, nodes=nodes)
    if not finished:
        raise FewstepError(
            f"training stopped at step {distiller.done} of {distiller.plan.fit.steps}",
            do="Run the same command again to resume",
        )
    denoiser: nn.Module = copy.deepcopy(distiller.average)
    chosen = distiller.done
    if distiller.best.weights:
        denoiser.load_state_dict(distiller.best.weights)
        chosen = distiller.best.step
    facts = record(
        run=config.name,
        seed=config.seed,
        steps=distiller.done,
        chosen_step=chosen,
        **provenance,
    )
    domain.save(denoiser, output, **facts)
    _log.info("wrote %s (average of step %d)", output, chosen)
