# fewstep: teacher -> student -> samples -> tables -> report; every arrow is a cached file.
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from domains.config import PRETRAIN, UNMODELLED, continued, parse_config, read_yaml
from domains.errors import FewstepError
from domains.provenance import write_text
from domains.stages.prepare import BUNDLED

if not config:
    raise WorkflowError("No settings. Give --configfile workflows/config/protein_demo.yaml")

try:
    # Snakemake itself takes the last of two equal keys.
    for path in workflow.configfiles:
        read_yaml(path)
    RUN = parse_config(config, "the config")
except FewstepError as error:
    raise WorkflowError(str(error))

OUT = f"results/{RUN.name}"
SETTINGS = f"{OUT}/config.json"
# As the last run has written its settings: more samples add shards and change none.
RUN = continued(RUN, Path(SETTINGS))
ENVIRONMENT = f"{workflow.basedir}/envs/{RUN.domain}.yaml"


wildcard_constraints:
    student="|".join(map(re.escape, RUN.students)) or "none",
    set="|".join(map(re.escape, RUN.sets)) or "none",
    shard=r"\d\d\d\d+",
    entry=r"[A-Za-z0-9_.-]+",


localrules:
    all,


# No rule: as a job it would hide from Snakemake what else has changed.
onstart:
    check_programs()
    write_text(Path(SETTINGS), RUN.model_dump_json(indent=1) + "\n")


include: "workflows/rules/common.smk"
include: "workflows/rules/prepare.smk"
include: "workflows/rules/distill.smk"
include: "workflows/rules/generate.smk"
include: "workflows/rules/evaluate.smk"
include: "workflows/rules/report.smk"


rule all:
    default_target: True
    input:
        [f"{OUT}/report.html", f"{OUT}/results.csv"] if RUN.sets else f"{OUT}/teacher",
