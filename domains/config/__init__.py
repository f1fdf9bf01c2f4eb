"""Typed configuration: everything a run can be told, checked before any job starts.

Imports no torch: Snakemake parses it on a login node. YAML holds only departures from the
defaults written here.
"""

from domains.config.cells import Cell, cells, load_matrix, parse_matrix, runs, untrained
from domains.config.data import Data, Simulate
from domains.config.folds import TRAINING_DOMAINS, FoldDistribution, Told
from domains.config.matrix import MatrixConfig, is_matrix
from domains.config.objectives import (
    AdversarialConfig,
    ConsistencyConfig,
    FDistillConfig,
    FlowMapConfig,
    PhasedDMDConfig,
    ProgressiveConfig,
    RCMConfig,
    ScoreLiDARConfig,
    SFDConfig,
    SiDConfig,
    SIMConfig,
    TDMConfig,
    VSDConfig,
)
from domains.config.preferences import DiffusionDPOConfig, DistillationDPOConfig
from domains.config.run import PRETRAIN, RunConfig, continued, load_config, parse_config
from domains.config.samplers import Renoise, RescaleConfig, Tuned
from domains.config.sampling import (
    FOLD_REFERENCES,
    PACKED,
    UNMODELLED,
    Evaluate,
    Generate,
    SampleSet,
    Scaffold,
)
from domains.config.times import Times
from domains.config.training import (
    INCIDENTAL,
    Degradation,
    Distil,
    Fit,
    Lengths,
    Optimiser,
    Pretrain,
    deciding,
)
from domains.config.yaml_file import read_yaml

__all__ = [
    "FOLD_REFERENCES",
    "INCIDENTAL",
    "PACKED",
    "PRETRAIN",
    "TRAINING_DOMAINS",
    "UNMODELLED",
    "AdversarialConfig",
    "Cell",
    "ConsistencyConfig",
    "Data",
    "Degradation",
    "DiffusionDPOConfig",
    "Distil",
    "DistillationDPOConfig",
    "Evaluate",
    "FDistillConfig",
    "Fit",
    "FlowMapConfig",
    "FoldDistribution",
    "Generate",
    "Lengths",
    "MatrixConfig",
    "Optimiser",
    "PhasedDMDConfig",
    "Pretrain",
    "ProgressiveConfig",
    "RCMConfig",
    "Renoise",
    "RescaleConfig",
    "RunConfig",
    "SFDConfig",
    "SIMConfig",
    "SampleSet",
    "Scaffold",
    "ScoreLiDARConfig",
    "SiDConfig",
    "Simulate",
    "TDMConfig",
    "Times",
    "Told",
    "Tuned",
    "VSDConfig",
    "cells",
    "continued",
    "deciding",
    "is_matrix",
    "load_config",
    "load_matrix",
    "parse_config",
    "parse_matrix",
    "read_yaml",
    "runs",
    "untrained",
]
