"""Typed configuration: everything a run can be told, checked before any job starts.

Imports no torch: Snakemake parses it on a login node. YAML holds only departures from the
defaults written here.
"""

from domains.config.data import Data, Simulate
from domains.config.run import PRETRAIN, RunConfig, load_config, parse_config, read_yaml
from domains.config.sampling import UNMODELLED, Evaluate, Generate, SampleSet
from domains.config.training import (
    Distil,
    DistillationDPOConfig,
    Fit,
    Optimiser,
    Pretrain,
    ScoreLiDARConfig,
    SiDConfig,
    Times,
    VSDConfig,
)

__all__ = [
    "PRETRAIN",
    "UNMODELLED",
    "Data",
    "Distil",
    "DistillationDPOConfig",
    "Evaluate",
    "Fit",
    "Generate",
    "Optimiser",
    "Pretrain",
    "RunConfig",
    "SampleSet",
    "ScoreLiDARConfig",
    "SiDConfig",
    "Simulate",
    "Times",
    "VSDConfig",
    "load_config",
    "parse_config",
    "read_yaml",
]
