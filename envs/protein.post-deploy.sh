#!/usr/bin/env bash
# For --sdm conda: fewstep itself, from the clone in whose root Snakemake runs.
set -euo pipefail
pip install --no-deps --editable .
