"""Stage: put the tables beside each other, as one HTML file and one tidy table."""

from pathlib import Path
from typing import Annotated

import typer

from domains.config import load_config

__all__ = ["report"]


def report(
    config: Annotated[Path, typer.Option(help="Run configuration (YAML).")],
    evaluations: Annotated[Path, typer.Option(help="Directory of the evaluated sets.")],
    output: Annotated[Path, typer.Option(help="The report (HTML).")],
    table: Annotated[Path, typer.Option(help="All results as tidy CSV.")],
    training_log: Annotated[
        Path | None, typer.Option(help="A student's log.csv, for its curves.")
    ] = None,
) -> None:
    """Write one HTML file that opens offline, and all results as one tidy table."""
    import pandas as pd

    from domains.domain import load_domain
    from domains.evaluation.report import build_report
    from domains.evaluation.table import SUMMARY, read_table, write_table

    settings = load_config(config)
    domain = load_domain(settings.domain)
    sets = [evaluations / name for name in settings.sets]
    results = pd.concat([read_table(one / "set.csv", SUMMARY) for one in sets])
    build_report(
        sets,
        output,
        title=settings.title or settings.name,
        training_log=training_log,
        notes=settings.notes,
        metrics=domain.metrics,
    )
    write_table(table, results, SUMMARY)
