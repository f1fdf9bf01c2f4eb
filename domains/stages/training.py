"""Shared by teacher training and distillation: run, then write the model last."""

import copy
import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from domains.config import RunConfig
from domains.distillation.training.distiller import Distiller
from domains.distillation.training.fit import process_count, progress, run
from domains.distillation.training.settings import INCIDENTAL
from domains.distillation.training.state import claim, settings_hash
from domains.errors import FewstepError
from domains.field import Field
from domains.files.lock import exclusive
from domains.files.provenance import record

__all__ = ["train_and_save"]

_log = logging.getLogger(__name__)


def train_and_save(
    field: Field,
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
    seed = distiller.plan.seed
    devices, nodes = process_count()
    # The key of the draws, too: with another one, a checkpoint is of another training.
    key = {"draws": distiller.plan.key} if distiller.plan.name else {}
    deciding = {"seed": seed, **key, **_deciding(provenance)}
    # Of several processes that train together, the first one owns the files.
    with claim(state, deciding) if rank_zero_only.rank == 0 else nullcontext():
        owner = settings_hash(deciding)
        if not run(distiller, state, validate, devices=devices, nodes=nodes, settings=owner):
            done, end, unit = progress(distiller)
            raise FewstepError(
                f"training stopped at {unit} {done} of {end}",
                do="Run the same command again to resume",
            )
        if rank_zero_only.rank == 0:
            _write_model(field, distiller, output, run=config.name, seed=seed, **provenance)


def _write_model(field: Field, distiller: Distiller, output: Path, **facts: Any) -> None:
    """Write the average that scored best, or the last one where none was scored."""
    denoiser: nn.Module = copy.deepcopy(distiller.average)
    chosen = distiller.done
    if distiller.best.weights:
        denoiser.load_state_dict(distiller.best.weights)
        chosen = distiller.best.step
    with exclusive(output):
        calls = {"network_calls": distiller.network_calls}
        extent = {"steps": distiller.done, "chosen_step": chosen, **calls}
        field.save(denoiser, output, **record(**facts, **extent))
    _log.info("wrote %s (average of step %d)", output, chosen)


def _deciding(provenance: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that decide a training's result."""
    kept = copy.deepcopy(provenance)
    for section in kept.values():
        if isinstance(section, dict) and isinstance(section.get("fit"), dict):
            section["fit"] = {k: v for k, v in section["fit"].items() if k not in INCIDENTAL}
    return kept
