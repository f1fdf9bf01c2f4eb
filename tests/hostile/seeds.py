"""A good file for each reader: what properties damage and the fuzz target starts from."""

import io
import zipfile

import numpy as np
import torch
import yaml
from hostile.test_data_files import packed
from lidar.files.test_point_cloud import POINTS, VALID, as_scan
from lidar.files.test_row_width import rows
from protein.checkpoint_files import weights
from safetensors.torch import save
from tiny_run import content

from domains.protein.files.structure import format_mmcif, format_pdb

__all__ = ["SEEDS"]


def _saved(state: object) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def _program(state: object) -> bytes:
    """Return the pickle inside what torch.save writes."""
    with zipfile.ZipFile(io.BytesIO(_saved(state))) as box:
        return box.read("archive/data.pkl")


_TRACE = np.random.default_rng(0).normal(size=(3, 3))
_SETTINGS = {"cfg_exp": {"model": {"nn": {"a": 1}}, "lora": {"lora_alpha": 2}}}
_LIGHTNING = {
    "state_dict": {"transformer_layers.0.w": torch.zeros(2)},
    "hyper_parameters": _SETTINGS,
    "optimizer_states": [{"ema": 1}],
}
_SCENES = {"state_dict": {"partial_enc.stem.0.kernel": torch.zeros(1, 2, 2)}}
_POSE = b"1 0 0 0 0 1 0 0 0 0 1 0\n"

SEEDS: dict[str, list[bytes]] = {
    "config": [
        yaml.safe_dump(content()).encode(),
        b'a: &a {k: 1}\nb: {<<: *a}\nc: !!int "1"\nd: [x, "y\\0", 2020-01-01, ~, 0x1F]\n',
    ],
    "archive": [_saved({"state_dict": weights()})],
    "program": [_program(weights()), _program(_LIGHTNING)],
    "scenes": [_program(_SCENES)],
    "weights": [save(weights())],
    "architecture": [
        b'{"format": "fewstep-model-1", "config": {"network": {"a": 1}, "motif": true}}'
    ],
    "pdb": [format_pdb(_TRACE).encode(), format_pdb(_TRACE).replace("ALA", "SEP").encode()],
    "cif": [format_mmcif(_TRACE).encode()],
    "ply": [data for name, data in VALID.items() if name.endswith("ply")],
    "pcd": [
        *(data for name, data in VALID.items() if name.endswith("pcd")),
        VALID["text.pcd"][:-1],
        VALID["binary.pcd"] + b"\n",
        VALID["text.pcd"].replace(b"\n", b"\r\n"),
    ],
    "bin": [
        as_scan(POINTS),
        *(rows(names, 40).tobytes() for names in ("", "i ring", "i ring time")),
    ],
    "nuscenes": [rows("i ring", 40).tobytes()],
    "labels": [bytes(range(16))],
    "domains": [packed()],
    "folds": [_program([[60, ["1.10.8.10"]], (70, "2.60")])],
    "mapping": [_program({"C": {"1": 0}, "A": {"1.10": 0}, "T": {}})],
    "poses": [_POSE],
    "calibration": [b"P0: 1\nTr: " + _POSE],
}
