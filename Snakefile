# fewstep: teacher -> student -> samples -> tables -> report; every arrow is a cached file.
# A matrix is several runs, and a comparison of them.
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from domains.config import continued, is_matrix, parse_config, parse_matrix, read_yaml, runs
from domains.errors import FewstepError

min_version("9.0")

if not config:
    raise WorkflowError("No settings. Give --configfile workflows/config/demo/protein_demo.yaml")

try:
    # Snakemake itself takes the last of two equal keys.
    for path in workflow.configfiles:
        read_yaml(path)
    MATRIX = parse_matrix(config, "the config") if is_matrix(config) else None
    RUNS = list(runs(MATRIX).values()) if MATRIX else [parse_config(config, "the config")]
except FewstepError as error:
    raise WorkflowError(str(error))

# As the last runs have written their settings: more samples add shards and change none.
RUNS = [continued(run, Path(f"results/{run.name}/config.json")) for run in RUNS]


localrules:
    all,


# No rule: as a job it would hide from Snakemake what else has changed.
onstart:
    begin()


for run in RUNS:
    NAME, PREFIX = run.name, f"{run.domain}_" if MATRIX else ""

    module:
        name: NAME
        snakefile:
            "workflows/rules/run.smk"
        config:
            run.model_dump(mode="json")

    use rule * from NAME as PREFIX*


include: "workflows/rules/shared.smk"
include: "workflows/rules/fetch.smk"
include: "workflows/rules/compare.smk"


rule all:
    default_target: True
    input:
        targets(),
