"""Stage: put the tables beside each other, as one HTML file and one tidy table."""

from pathlib import Path

from domains.config import field_settings, load_config

__all__ = ["report"]


def report(
    config: Path,
    evaluations: Path,
    output: Path,
    table: Path,
    training_log: Path | None = None,
    teacher: Path | None = None,
    screened: Path | None = None,
) -> None:
    """Write one HTML file that opens offline, and all results as one tidy table.

    Args:
        config: Run configuration (YAML).
        evaluations: Directory of the evaluated sets.
        output: The report (HTML).
        table: All results as tidy CSV; a LaTeX table is written beside it, as .tex.
        training_log: A student's log.csv, for its curves.
        teacher: Directory of the teacher, to tell whether papers' numbers are of it.
        screened: Directory of the screened sets, if the run has any.
    """
    settings = load_config(config)

    import pandas as pd

    from domains.evaluation.report.build import build_report
    from domains.evaluation.report.latex import latex_table
    from domains.evaluation.statistics.published import read_published, rows_beside
    from domains.evaluation.statistics.sets import bounded, published_sets, read_set
    from domains.evaluation.statistics.table import SUMMARY, write_table
    from domains.evaluation.statistics.to_teacher import with_distances
    from domains.files.aside import make_way
    from domains.files.provenance import write_text

    field, name = field_settings(settings.domain), settings.name
    metrics = bounded(field.load_metrics(), settings.equal_within)
    sets = [evaluations / one for one in settings.sets]
    read = with_distances([read_set(one) for one in sets], metrics)
    # Two students of one run may agree in all that the other columns say.
    results = pd.concat([one.metrics.assign(run=f"{name}/{one.path.name}") for one in read])
    papers = rows_beside(settings, read_published(field.published), teacher)
    build_report(
        sets,
        output,
        title=settings.title or name,
        published=papers,
        training_log=training_log,
        notes=settings.notes,
        metrics=metrics,
        screened=[screened / one for one in settings.screened] if screened else [],
        made=field.made,
    )
    write_table(table, results, SUMMARY)
    shown = [*read, *published_sets(papers)]
    latex = latex_table(shown, metrics, settings.title or name)
    make_way(table.with_suffix(".tex"), latex.partition("\n")[0])
    write_text(table.with_suffix(".tex"), latex)
