"""Typed configuration: everything a run can be told, checked before any job starts.

Imports no torch: Snakemake parses it on a login node. YAML holds only departures from the
defaults written here, in the objectives' files and in the fields' settings.
"""

from domains.config.cells import Cell, cells, load_matrix, parse_matrix, runs, untrained
from domains.config.fields import (
    FieldSettings,
    bundled_models,
    field_names,
    field_settings,
    located,
)
from domains.config.matrix import MatrixConfig, is_matrix
from domains.config.parse import continued, load_config, parse_config
from domains.config.run import PRETRAIN, RunConfig
from domains.config.sections import FILES, UNMODELLED, Data, Evaluate, Generate, SampleSet
from domains.config.training import Distil, Pretrain, deciding
from domains.config.unwise import advice
from domains.files.yaml_file import read_yaml

__all__ = [
    "FILES",
    "PRETRAIN",
    "UNMODELLED",
    "Cell",
    "Data",
    "Distil",
    "Evaluate",
    "FieldSettings",
    "Generate",
    "MatrixConfig",
    "Pretrain",
    "RunConfig",
    "SampleSet",
    "advice",
    "bundled_models",
    "cells",
    "continued",
    "deciding",
    "field_names",
    "field_settings",
    "is_matrix",
    "load_config",
    "load_matrix",
    "located",
    "parse_config",
    "parse_matrix",
    "read_yaml",
    "runs",
    "untrained",
]
