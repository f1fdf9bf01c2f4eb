# fewstep: teacher -> student -> samples -> tables -> report; every arrow is a cached file.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from domains.config import parse_config
from domains.errors import FewstepError

if not config:
    raise WorkflowError("No settings. Give --configfile workflows/config/protein_demo.yaml")

try:
    RUN = parse_config(config, "the config")
except FewstepError as error:
    raise WorkflowError(str(error))

OUT = f"results/{RUN.name}"
SETTINGS = f"{OUT}/config.json"
ENVIRONMENT = f"{workflow.basedir}/envs/{RUN.domain}.yaml"


wildcard_constraints:
    student="|".join(RUN.students) or "none",
    set="|".join(RUN.sets) or "none",
    shard=r"\d{4}",


localrules:
    all,
    settings,


include: "workflows/rules/common.smk"
include: "workflows/rules/prepare.smk"
include: "workflows/rules/distill.smk"
include: "workflows/rules/generate.smk"
include: "workflows/rules/evaluate.smk"
include: "workflows/rules/report.smk"


rule all:
    default_target: True
    input:
        f"{OUT}/report.html",
        f"{OUT}/results.csv",
