"""Stage: put the tables beside each other, as one HTML file and one tidy table."""

from pathlib import Path

from domains.config import load_config

__all__ = ["report"]


def report(
    config: Path,
    evaluations: Path,
    output: Path,
    table: Path,
    training_log: Path | None = None,
) -> None:
    """Write one HTML file that opens offline, and all results as one tidy table.

    Args:
        config: Run configuration (YAML).
        evaluations: Directory of the evaluated sets.
        output: The report (HTML).
        table: All results as tidy CSV.
        training_log: A student's log.csv, for its curves.
    """
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
