"""The ``fewstep`` command: stages by name; an error is one line and exit code 2."""

import logging
import os
import sys
from typing import Any

import typer

from domains.errors import FewstepError
from domains.stages.distill import distill
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate
from domains.stages.prepare import prepare
from domains.stages.pretrain import pretrain
from domains.stages.report import report

__all__ = ["STAGES", "app", "main"]

STAGES = (prepare, pretrain, distill, generate, evaluate, report)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Few-step students of scientific diffusion teachers.",
)


def _register(stage: Any) -> None:
    """Make a stage a command whose help is the stage's docstring."""
    summary, _, arguments = (stage.__doc__ or "").partition("Args:")
    app.command(stage.__name__, help=summary.strip() + "\n\n" + arguments.strip())(stage)


for _stage in STAGES:
    _register(_stage)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app()
    except FewstepError as error:
        print(f"fewstep: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except MemoryError:
        print("fewstep: out of memory. Lower the batch or shard size.", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        os._exit(130)
