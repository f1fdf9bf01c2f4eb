"""A network of a few thousand weights and a run configuration around it, for whole stages."""

from pathlib import Path
from typing import Any

import yaml

from domains.field import load_field
from domains.lidar.settings import LidarData, Simulate
from domains.protein.settings import ProteinPretrain

__all__ = [
    "LIDAR_NETWORK",
    "NETWORK",
    "content",
    "deep_update",
    "save_teacher",
    "simulate_streets",
    "write_config",
]

NETWORK: dict[str, Any] = {
    "token_dim": 16,
    "nlayers": 2,
    "nheads": 2,
    "pair_repr_dim": 8,
    "dim_cond": 16,
    "t_emb_dim": 16,
    "idx_emb_dim": 8,
    "fold_emb_dim": 4,
    "feats_init_seq": ["res_seq_pdb_idx", "chain_break_per_res", "x_sc"],
    "feats_cond_seq": ["time_emb", "fold_emb"],
    "feats_pair_repr": ["rel_seq_sep", "x_sc_pair_dists", "xt_pair_dists"],
    "feats_pair_cond": ["time_emb"],
    "xt_pair_dist_dim": 8,
    "x_sc_pair_dist_dim": 8,
    "use_qkln": True,
}

LIDAR_NETWORK: dict[str, Any] = {
    "width": 0.125,
    "voxel_size": 0.5,
    "partial_points": 40,
    "copies": 5,
}


def simulate_streets(root: Path) -> LidarData:
    """Write two training streets and a held-out one, of two coarse scans each."""
    from domains.lidar.simulator.writer import simulate_sequence

    data = LidarData(simulate=Simulate(train=2, held_out=1)).located(str(root))
    for name in (*data.train, *data.held_out):
        simulate_sequence(root / "sequences" / name, int(name), 2, azimuths=96, surface=False)
    return data


def save_teacher(directory: Path, seed: int = 0, **changes: Any) -> Path:
    """Write an untrained teacher in canonical form."""
    domain = load_field("protein")
    fit: Any = {"steps": 1}
    config = ProteinPretrain(network=NETWORK | changes, fit=fit)
    domain.save(domain.new(config, seed), directory, made_by="tests")
    return directory


def content(**changes: Any) -> dict[str, Any]:
    """Settings of a run of seconds: one student, sets of data, teacher and student."""
    base: dict[str, Any] = {
        "name": "tiny",
        "domain": "protein",
        "seed": 3,
        "teacher": "teacher",
        "students": {
            "student": {
                "roll_out": {"steps": 2},
                "lengths": {"low": 40, "high": 44},
                "batch_size": 2,
                "fit": {"steps": 3, "validate_every": 3, "log_every": 1},
                "validation_samples": 2,
            }
        },
        "generate": {"lengths": [40, 44], "per_length": 2, "shard_size": 2},
        "sets": {
            "data": {"model": "data"},
            "naive": {"model": "teacher", "sampler": {"kind": "renoise", "steps": 2}},
            "student_2": {"model": "student", "sampler": {"kind": "renoise", "steps": 2}},
        },
        "evaluate": {"proxy": False, "novelty_shortlist": 2},
    }
    return deep_update(base, changes)


def deep_update(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes`` merged into it at every depth."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = deep_update(merged[key], value) if both else value
    return merged


def write_config(path: Path, **changes: Any) -> Path:
    """Write the settings as YAML."""
    path.write_text(yaml.safe_dump(content(**changes), allow_unicode=True), encoding="utf-8")
    return path
