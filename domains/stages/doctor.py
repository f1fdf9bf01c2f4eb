"""Command: what this machine offers, what is missing, and what that would enable."""

import json as json_module
from dataclasses import asdict
from pathlib import Path

from domains.errors import FewstepError
from domains.monitoring.finding import Finding
from domains.monitoring.text import table

__all__ = ["doctor"]


def doctor(json: bool = False, deep: bool = False) -> None:
    """Show devices, versions, memory, disk, and which optional tools and weights are here.

    Args:
        json: Print JSON instead of a table.
        deep: Import every package, and ask torch for its GPUs (seconds): what is "present" was
            only seen.
    """
    from domains.monitoring.devices import devices
    from domains.monitoring.machine import machine, packages
    from domains.monitoring.tools import tools

    optional = tools(deep)  # first, for it works in the background
    findings = [*packages(), *machine(Path.cwd()), *devices(deep), *optional]
    if json:
        print(json_module.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        rows = [(f.name, f.state, f.found, f.note) for f in findings]
        print(table(("what", "state", "found", "enables, or what to do"), rows))
        if any(finding.state == "present" for finding in findings):
            print("present: seen, not tried. `fewstep doctor --deep` tries each, in seconds.")
    _refuse([finding for finding in findings if finding.state == "broken"])


def _refuse(broken: list[Finding]) -> None:
    if broken:
        first = broken[0]
        raise FewstepError(
            f"{len(broken)} of the things that fewstep needs are broken, first {first.name}",
            got=first.found,
            do=first.note,
        )
