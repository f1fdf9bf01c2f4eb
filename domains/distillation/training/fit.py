"""Run a Distiller: resume, checkpoint, validate, log, show progress."""

import logging
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DataLoader
from tqdm import tqdm

from domains.distillation.training.distiller import Distiller
from domains.distillation.training.interval import Interval
from domains.distillation.training.log_table import LogTable
from domains.distillation.training.state import StateDirectory
from domains.distillation.training.state_form import check_state
from domains.errors import FewstepError

__all__ = ["process_count", "progress", "run"]

_log = logging.getLogger(__name__)

_MOST_STEPS = 10**9  # of a training that ends by its network calls or seconds

# A validation: the averaged student in, numbers out; "quality" (higher is better) is required.
Validation = Callable[[Distiller], dict[str, float]]


def run(
    distiller: Distiller,
    directory: Path,
    validate: Validation | None = None,
    *,
    devices: int = 1,
    nodes: int = 1,
    settings: str = "",
) -> bool:
    """Train to the end, or until stopped; resumes from ``directory``.

    Args:
        distiller: The student, its fake scores and the plan.
        directory: State, log and curves of this run.
        validate: Scores the student's average as often as ``fit`` says.
        devices: Processes per node.
        nodes: Number of nodes.
        settings: Hash of the training's settings. Each checkpoint carries it, and one of another
            is not resumed; those of earlier versions carry none.

    Returns:
        Whether the last step was reached.
    """
    states = StateDirectory(directory / "state")
    saved = states.load(partial(check_state, distiller, settings=settings))
    if saved is not None:
        distiller.restore(saved)
        done, end, unit = progress(distiller)
        _log.info("resuming at %s %d of %d", unit, done, end)
    keeper = _Keeper(states, directory, validate, saved, progress(distiller)[0], settings)
    _quiet_lightning()
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator="auto",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        precision=distiller.plan.fit.precision,
        plugins=[LightningEnvironment()] if nodes == 1 else None,
        callbacks=[keeper],
        logger=TensorBoardLogger(directory, name="curves", version=""),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    if not distiller.finished:
        left = range(distiller.done, distiller.plan.fit.steps or _MOST_STEPS)
        trainer.fit(distiller, DataLoader(left, batch_size=None))  # type: ignore[arg-type]
    return distiller.finished


def _quiet_lightning() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for module in ("pytorch_lightning", "lightning_fabric"):
        warnings.filterwarnings("ignore", module=module)


class _Keeper(pl.Callback):
    """Writes checkpoints and logs, validates, stops on a signal or at the time limit."""

    def __init__(
        self,
        states: StateDirectory,
        directory: Path,
        validate: Validation | None,
        saved: dict[str, Any] | None,
        first: int,
        settings: str,
    ):
        self.states, self.validate, self.settings = states, validate, settings
        self.table = LogTable(directory / "log.csv", saved["done"] if saved else 0)
        self.table.restore(saved["interval"] if saved else {})
        self.began = time.monotonic()
        self.saving = self.validating = Interval(None)
        self.first = first
        self.bar: tqdm[Any] | None = None
        self.saved_at = -1
        self.validations = 0
        self.terminated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen for SIGTERM, SIGHUP and Ctrl-C and open the progress bar.

        Lightning has put its own handlers in place by now, which would end training without
        saving; when training ends it restores those from before.
        """
        assert isinstance(pl_module, Distiller)
        fit = pl_module.plan.fit
        self.validations = fit.validations_until(pl_module.extent)
        self.saving, self.validating = (
            Interval(fit.checkpoint_minutes),
            Interval(fit.validate_minutes),
        )
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # What ``nohup`` has a process ignore it goes on to ignore.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._stop)
        if trainer.is_global_zero and sys.stderr.isatty():
            done, total, unit = progress(pl_module)
            self.bar = tqdm(total=total, initial=done, unit=unit, unit_scale=True, smoothing=0.1)

    def _stop(self, number: int, _: object) -> None:
        """Stop after this step; a second Ctrl-C stops at once."""
        self.terminated = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Log, validate, checkpoint and look at the clock after each step."""
        assert isinstance(pl_module, Distiller)
        fit, done = pl_module.plan.fit, pl_module.done
        self.table.add(**pl_module.diagnostics)
        due = fit.validations_until(pl_module.extent)
        asked = due > self.validations or self.validating.due(pl_module)
        validates = self.validate is not None and asked
        logs = done % fit.log_every == 0 or pl_module.finished
        saves = pl_module.finished or (
            done % fit.checkpoint_every == 0
            if fit.checkpoint_minutes is None
            else self.saving.due(pl_module)
        )
        if validates or logs or saves:
            pl_module.finiteness.settle()  # in all processes, before anything is written
        if validates:
            self._validate(pl_module)
            self.validating.begin()
        self.validations = due
        if logs:
            self._report(trainer, pl_module)
        if saves:
            self._save(trainer, pl_module)
            self.saving.begin()
        late = fit.max_seconds is not None and time.monotonic() - self.began > fit.max_seconds
        # All processes stop at the same step, or the others would wait for ever.
        over = late or self.terminated or pl_module.finished
        if trainer.strategy.reduce_boolean_decision(over, all=False):
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save where training stopped."""
        assert isinstance(pl_module, Distiller)
        pl_module.finiteness.settle()
        self._save(trainer, pl_module)
        if self.bar is not None:
            self.bar.close()

    def _validate(self, distiller: Distiller) -> None:
        assert self.validate is not None
        with torch.no_grad():
            scores = self.validate(distiller)
        distiller.consider(scores["quality"])
        self.table.add(**{f"validation/{name}": value for name, value in scores.items()})

    def _report(self, trainer: pl.Trainer, distiller: Distiller) -> None:
        if not trainer.is_global_zero:
            return
        clock = {} if distiller.plan.fit.seconds is None else {"seconds": int(distiller.seconds)}
        calls = distiller.network_calls
        row = self.table.close_row(distiller.done, network_calls=calls, **clock)
        if trainer.logger is not None:
            trainer.logger.log_metrics(row, step=distiller.done)
        shown = {k: f"{v:.4g}" for k, v in row.items() if k.endswith(("/loss", "quality"))}
        if self.bar is not None:
            self.bar.update(progress(distiller)[0] - self.bar.n)
            self.bar.set_postfix_str(", ".join(f"{name}={value}" for name, value in shown.items()))
        else:
            _log.info("%s", self._line(distiller, shown))

    def _line(self, distiller: Distiller, shown: dict[str, str]) -> str:
        done, total, unit = progress(distiller)
        elapsed = time.monotonic() - self.began
        left = elapsed / max(1, done - self.first) * max(0, total - done)
        losses = "  ".join(f"{name} {value}" for name, value in shown.items())
        return f"{unit} {done}/{total}  {losses}  {left / 60:.0f} min left"

    def _save(self, trainer: pl.Trainer, distiller: Distiller) -> None:
        if trainer.is_global_zero and self.saved_at != distiller.done:
            objective = type(distiller.plan.objective).__name__
            owner = {"objective": objective, "settings": self.settings}
            more = {"interval": self.table.state(), **owner}
            state = distiller.training_state() | more
            self.states.save(distiller.done, state)
            self.saved_at = distiller.done


def progress(distiller: Distiller) -> tuple[int, int, str]:
    """Return (done, total, unit) of a training: step, call (network call) or second."""
    done, total, unit = distiller.plan.fit.count(distiller.extent)
    return int(done), math.ceil(total), unit


def process_count() -> tuple[int, int]:
    """Return (devices, nodes) from the environment (FEWSTEP_DEVICES, FEWSTEP_NODES).

    Raises:
        FewstepError: A variable is no positive integer.
    """
    return _positive("FEWSTEP_DEVICES"), _positive("FEWSTEP_NODES")


def _positive(variable: str) -> int:
    text = os.environ.get(variable, "1")
    if not text.isdecimal() or int(text) < 1:
        raise FewstepError(f"environment variable {variable}", expected="at least 1", got=text)
    return int(text)
