"""Write the reference pages of the commands and of the metrics, from the code itself.

    python -m studies.reference_pages      # writes them into docs/reference

The page of the settings is written by ``python -m domains.config.describe``.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import typer.main

from domains import cli
from domains.config import field_names, field_settings
from domains.evaluation.statistics.sets import Metric
from domains.files.provenance import write_text

__all__ = ["PLACES", "commands_page", "metrics_page"]

_COMMANDS = """# Commands

Written by `python -m studies.reference_pages` from what `fewstep COMMAND --help` shows. Bad input
gives one line on standard error and exit code 2; every other non-zero code is a fault of fewstep.
"""
_FOR_PEOPLE = """## For people

No rule of the workflow calls these.
"""
_STAGES = """## Stages

Each is a rule of the workflow, which calls them in this order and fills in their options.
"""
_METRICS = """# Metrics

Written by `python -m studies.reference_pages` from the texts of the report. *Key* is the value of
the column `metric` in `results.csv`. *Better* says in which direction a measure improves; a dash
means that it is neither marked nor judged. *Equal within* is the default bound of equivalence
([how sets are compared](../explanation/statistics.md)); a dash means that nothing is called equal
until `equal_within` in a run's settings says so.
"""
_FIELDS = {"protein": "Protein backbones", "lidar": "LiDAR scenes"}


def commands_page() -> str:
    """Write every command with its arguments and options."""
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    parts = [_COMMANDS, _common()]
    for head, functions in ((_FOR_PEOPLE, cli.CHECKS), (_STAGES, cli.STAGES)):
        parts += [head, *(_command(commands[one.__name__], one) for one in functions)]
    return "\n".join(parts)


def _common() -> str:
    """Return the options before the command, if there are any."""
    main = typer.main.get_command(cli.app)
    rows = [_row(option, "flag") for option in main.params if option.help]  # type: ignore[attr-defined]
    return "\n".join(["## Before any command", "", *_HEAD, *rows, ""]) if rows else ""


_HEAD = ("| option | value | default | meaning |", "|---|---|---|---|")


def _command(command: Any, function: Any) -> str:
    """Return the heading, text and table of one command."""
    text = (inspect.getdoc(function) or "").partition("Args:\n")[0].replace("``", "`").strip()
    names = [_shown(one) for one in command.params if not one.opts[0].startswith("--")]
    hints = get_type_hints(function)
    rows = [_row(one, _value(hints[one.name])) for one in command.params]
    table = [*_HEAD, *rows] if rows else ["It has no options."]
    call = " ".join(["fewstep", command.name, *names])
    return "\n".join([f"### `{call}`", "", text, "", *table, ""])


def _shown(argument: Any) -> str:
    name = argument.name.upper()
    return name if argument.required else f"[{name}]"


def _value(hint: Any) -> str:
    """Return a type as a reader of a command line names it."""
    kinds = [one for one in get_args(hint) or (hint,) if one is not NoneType]
    words = {bool: "flag", int: "integer", float: "number", str: "text", Path: "path"}
    return " or ".join(words.get(kind, "text") for kind in kinds)


def _row(option: Any, kind: str) -> str:
    """Return the row of an argument or option."""
    opposite = [f"--no-{option.opts[0][2:]}"] if option.default is True else []
    names = [*option.opts, *opposite] if option.opts[0].startswith("--") else [option.name.upper()]
    default = {None: "–", "": "–", False: "off", True: "on"}.get(option.default)
    if default is None or type(option.default) in (int, float):
        default = f"`{option.default}`"
    default = "required" if option.required else default
    meaning = " ".join((option.help or "").split()).replace("``", "`").replace("|", "\\|")
    return f"| {', '.join(f'`{name}`' for name in names)} | {kind} | {default} | {meaning} |"


def metrics_page() -> str:
    """Write every metric of fewstep's own fields."""
    parts = [_METRICS]
    for name, title in _FIELDS.items():
        module, _, attribute = field_settings(name).metrics.partition(":")
        metrics: dict[str, Metric] = getattr(import_module(module), attribute)
        rows = [_metric(key, metric) for key, metric in metrics.items()]
        head = ["| key | name | better | equal within | meaning |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"## {title}", "", *head, *rows, ""]))
    return "\n".join(parts)


def _metric(key: str, metric: Metric) -> str:
    better = "–" if metric.better == "none" else metric.better
    within = f"± {metric.same_within:g}" if metric.same_within else "–"
    text = re.sub(r"\s+", " ", metric.explanation).replace("|", "\\|")
    return f"| `{key}` | {metric.label} | {better} | {within} | {text} |"


PLACES = {
    Path("docs/reference/commands.md"): commands_page,
    Path("docs/reference/metrics.md"): metrics_page,
}

if __name__ == "__main__":
    assert set(_FIELDS) <= set(field_names())
    for place, text in PLACES.items():
        write_text(place, text())
