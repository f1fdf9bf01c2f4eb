"""The ``fewstep`` command: stages by name; an error is one line and exit code 2."""

import inspect
import logging
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from domains import __version__
from domains.errors import FewstepError
from domains.memory import out_of_memory
from domains.monitoring.loading import SYSTEM_LIBRARIES
from domains.stages.calibrate import calibrate
from domains.stages.compact import compact
from domains.stages.compare import compare
from domains.stages.complete import complete
from domains.stages.describe import describe
from domains.stages.distill import distill
from domains.stages.doctor import doctor
from domains.stages.evaluate import evaluate
from domains.stages.fetch import fetch
from domains.stages.generate import generate
from domains.stages.merge import merge
from domains.stages.places import check_places
from domains.stages.prepare import prepare
from domains.stages.pretrain import pretrain
from domains.stages.report import report
from domains.stages.sample import sample
from domains.stages.score import score
from domains.stages.screen import screen
from domains.stages.sift import sift
from domains.stages.simulate import simulate
from domains.stages.status import status
from domains.stages.tune import tune

__all__ = ["CHECKS", "STAGES", "app", "main"]

STAGES: tuple[Callable[..., None], ...] = (
    fetch,
    simulate,
    prepare,
    pretrain,
    calibrate,
    distill,
    tune,
    generate,
    merge,
    describe,
    evaluate,
    sift,
    screen,
    report,
    compare,
)
# Commands for people, which no rule calls.
CHECKS: tuple[Callable[..., None], ...] = (sample, complete, score, compact, status, doctor)

_log = logging.getLogger(__name__)
_FORMAT, _TIME = "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Few-step students of scientific diffusion teachers.",
)


def _argument_help(docstring: str) -> dict[str, str]:
    """Return the text of each entry in a docstring's Args section."""
    section = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.split(r"\n?^ +(\w+): ", section, flags=re.MULTILINE)[1:]
    return {name: " ".join(text.split()) for name, text in zip(*[iter(entries)] * 2, strict=True)}


def _command(stage: Callable[..., None]) -> Callable[..., None]:
    """Return a stage as a command, described by its docstring: parameters are options.

    Those before a "/" are the command's arguments.
    """
    docstring = inspect.getdoc(stage) or ""
    texts, hints = _argument_help(docstring), get_type_hints(stage)
    parameters = [
        parameter.replace(
            kind=inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[hints[name], _kind(parameter)(help=texts[name])],
        )
        for name, parameter in inspect.signature(stage).parameters.items()
    ]
    arguments = [p.name for p in inspect.signature(stage).parameters.values() if _leads(p)]

    def command(**options: Any) -> None:
        check_places(options)
        leading = [options.pop(name) for name in arguments]
        stage(*leading, **options)

    command.__name__ = stage.__name__
    command.__doc__ = docstring.partition("\n")[0]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _leads(parameter: inspect.Parameter) -> bool:
    return parameter.kind is inspect.Parameter.POSITIONAL_ONLY


def _kind(parameter: inspect.Parameter) -> Callable[..., Any]:
    return typer.Argument if _leads(parameter) else typer.Option


for _stage in (*STAGES, *CHECKS):
    app.command()(_command(_stage))


@app.callback()
def _before(
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log more, and show where an error arose.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Log warnings and errors only; no progress bars.")
    ] = False,
) -> None:
    if verbose and quiet:
        raise FewstepError("--verbose and --quiet contradict each other", do="Give one of them")
    logging.getLogger().setLevel(logging.WARNING if quiet else logging.INFO)
    logging.getLogger("domains").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    if quiet:
        os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported
    _log.debug("fewstep %s, Python %s: %s", __version__, sys.version.split()[0], sys.argv[1:])


def main() -> None:
    """Run the command line; what a user or a machine can cause is one line and exit code 2."""
    logging.basicConfig(level=logging.INFO, format=_FORMAT, datefmt=_TIME, stream=sys.stderr)
    try:
        app()
    except Exception as error:
        line = _explain(error)
        if line is None:
            raise
        _log.debug("where it arose", exc_info=error)
        print(f"fewstep: {line}", file=sys.stderr)
        raise SystemExit(2) from None


def _explain(error: Exception) -> str | None:
    """Return one line on an error; None for a fault of this program, whose traceback counts."""
    if isinstance(error, FewstepError):
        return str(error)
    if out_of_memory(error):
        return "out of memory. Lower the batch size or generate.batch_points, or allow more."
    if isinstance(error, OSError | ImportError) and "shared object file" in str(error):
        return str(FewstepError("a system library is missing", got=error, do=SYSTEM_LIBRARIES))
    if isinstance(error, OSError):
        return str(
            FewstepError(
                f"can't use {error.filename or 'a file'}",
                got=error.strerror or error,
                do="Check the path, its permissions and the free disk space",
            )
        )
    return None


if __name__ == "__main__":
    main()
