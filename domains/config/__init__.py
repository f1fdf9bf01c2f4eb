"""Typed configuration: everything a run can be told, checked before any job starts.

Imports no torch: Snakemake parses it on a login node. YAML holds only departures from the
defaults written here.
"""

from domains.config.run import PRETRAIN, RunConfig, load_config, parse_config, read_yaml
from domains.config.sampling import UNMODELLED, Evaluate, Generate, SampleSet
from domains.config.training import (
    Distil,
    Fit,
    Optimiser,
    Pretrain,
    SiDConfig,
    Times,
    VSDConfig,
)

__all__ = [
    "PRETRAIN",
    "UNMODELLED",
    "Distil",
    "Evaluate",
    "Fit",
    "Generate",
    "Optimiser",
    "Pretrain",
    "RunConfig",
    "SampleSet",
    "SiDConfig",
    "Times",
    "VSDConfig",
    "load_config",
    "parse_config",
    "read_yaml",
]
