# One run: teacher -> student -> samples -> tables -> report. Its settings are the config.
import json
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from domains.config import (
    PRETRAIN,
    UNMODELLED,
    bundled_models,
    deciding,
    field_settings,
    parse_config,
)
from domains.errors import FewstepError
from domains.files.given import given_files

RUN = parse_config(config, "the config")
OUT = f"results/{RUN.name}"
SETTINGS = f"{OUT}/config.json"
# The root of this repository, also where another workflow uses it as a module.
HOME = Path(workflow.snakefile).parents[2]
ENVIRONMENT = str(field_settings(RUN.domain).conda_file(HOME / "envs"))
BUNDLED = bundled_models()
# Built from envs/container.def, for --sdm apptainer.
CONTAINER = f"{HOME}/envs/{RUN.domain}.sif"


wildcard_constraints:
    student="|".join(map(re.escape, RUN.students)) or "none",
    set="|".join(map(re.escape, RUN.sets)) or "none",
    shard=r"\d\d\d\d+",


include: "common.smk"
include: "prepare.smk"
include: "distill.smk"
include: "tune.smk"
include: "generate.smk"
include: "evaluate.smk"
include: "screen.smk"
include: "report.smk"
