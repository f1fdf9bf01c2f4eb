# Functions of the whole workflow, and what its own rules run in.
from domains.config import advice, field_settings
from domains.files.provenance import write_text

HOME = Path(workflow.snakefile).parents[2]
ENVIRONMENT = str(field_settings(RUNS[0].domain).conda_file(HOME / "envs"))
CONTAINER = f"{HOME}/envs/{RUNS[0].domain}.sif"


def check_programs(run):
    """Stop before the first job if a program that the evaluation calls can't be used.

    Environments and containers have programs of their own, which are seen from inside only.
    """
    if workflow.deployment_settings.deployment_method:
        return
    try:
        field_settings(run.domain).check(run)
    except FewstepError as error:
        raise WorkflowError(str(error))


def begin():
    """Check what can be checked, and write the settings that the stages read."""
    for run in RUNS:
        check_programs(run)
        for line in advice(run):
            logger.warning(f"unwise: {line}")
    written = {f"{run.name}/config.json": run for run in RUNS}
    if MATRIX:
        written[f"{MATRIX.name}/matrix.json"] = MATRIX
    try:
        for name, settings in written.items():
            write_text(Path("results", name), settings.model_dump_json(indent=1) + "\n")
    except FewstepError as error:
        raise WorkflowError(str(error))


def targets():
    """Return the default targets: the report and results of a run or matrix, or its teacher."""
    if MATRIX:
        return rules.compare.output
    out = f"results/{RUNS[0].name}"
    made = ["report.html", "results.csv"] if RUNS[0].sets else ["teacher/model.json"]
    return [f"{out}/{name}" for name in made]
