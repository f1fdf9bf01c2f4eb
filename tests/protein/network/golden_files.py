"""Reads golden networks: configuration, weights, and one example per variant."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from domains.protein.data.cath import CathMapping
from domains.protein.denoiser import ProteinaDenoiser
from domains.protein.network import NetworkConfig, Proteina
from domains.protein.network.features import Inputs

# Their name for an input, and ours.
_INPUTS = {
    "x_t": "x_t",
    "t": "t",
    "mask": "mask",
    "x_sc": "x_sc",
    "residue_pdb_idx": "residue_index",
    "chain_breaks_per_residue": "chain_breaks",
    "motif_mask": "motif_mask",
    "x_motif": "x_motif",
    "fixed_structure_mask": "motif_pairs",
}


def arrays(path: Path) -> dict[str, Tensor]:
    """Content of an .npz file as tensors."""
    with np.load(path) as content:
        return {name: torch.from_numpy(content[name]) for name in content.files}


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def assert_close(actual: Tensor, expected: Tensor, relative: float, what: str = "") -> None:
    """Compare with a tolerance relative to the largest expected value."""
    assert actual.shape == expected.shape, what
    scale = float(expected.abs().max())
    error = float((actual - expected).abs().max())
    assert error <= relative * scale, f"{what}: error {error:.2e} of {scale:.2e}"


class Replay:
    """A noise source that hands out given draws, and complains when asked for more."""

    def __init__(self, draws: Tensor):
        self.draws, self.used = draws, 0

    def __call__(self, shape: tuple[int, int, int]) -> Tensor:
        self.used += 1
        return self.draws[self.used - 1].reshape(shape)


@dataclass(frozen=True)
class GoldenNetwork:
    """One directory ``net_*``."""

    directory: Path

    @cached_property
    def meta(self) -> dict[str, Any]:
        return read_json(self.directory / "meta.json")

    @cached_property
    def config(self) -> dict[str, Any]:
        return read_json(self.directory / "config.json")

    @cached_property
    def io(self) -> dict[str, Tensor]:
        return arrays(self.directory / "io.npz")

    @property
    def mapping(self) -> CathMapping:
        return CathMapping.from_dict(self.meta["cath_label_mapping"])

    def network(self, dtype: torch.dtype = torch.float32) -> Proteina:
        weights = load_file(self.directory / "weights.safetensors")
        config = NetworkConfig.parse(self.config, self.directory.name)
        return Proteina.from_weights(config, weights, self.directory.name).eval().to(dtype)

    def denoiser(
        self, target: str = "v", motif: bool = False, weights: Path | None = None
    ) -> ProteinaDenoiser:
        """A frozen denoiser around this network, or around other weights of its shape."""
        content = {
            "network": self.config,
            "target": target,
            "motif": motif,
            "cath_mapping": self.meta["cath_label_mapping"],
        }
        path = weights or self.directory / "weights.safetensors"
        built = ProteinaDenoiser.build(load_file(path), content, self.directory.name)
        return built.eval().requires_grad_(False)

    def inputs(self, variant: str, dtype: torch.dtype = torch.float32) -> Inputs:
        """Inputs of a variant; coordinates in ``dtype``, times in float32 as theirs."""
        given: dict[str, Tensor] = {}
        for theirs, ours in _INPUTS.items():
            if (key := f"{variant}.in.{theirs}") in self.io:
                value = self.io[key]
                wide = value.is_floating_point() and theirs != "t"
                given[ours] = value.to(dtype) if wide else value
        if variant in self.meta["cath_codes"]:
            given["labels"], given["label_mask"] = self._labels(self.meta["cath_codes"][variant])
        return Inputs(**given)

    def _labels(self, codes: list[list[str]]) -> tuple[Tensor, Tensor]:
        chosen = [labels or [None] for labels in codes]
        most = max(map(len, chosen))
        rows = torch.zeros(len(chosen), most, 3, dtype=torch.long)
        present = torch.zeros(len(chosen), most, dtype=torch.bool)
        for sample, labels in enumerate(chosen):
            for place, label in enumerate(labels):
                rows[sample, place] = torch.tensor(self.mapping.indices(label))
                present[sample, place] = True
        return rows, present


def golden_networks(golden: Path) -> list[GoldenNetwork]:
    """All golden networks; there must be some."""
    found = [GoldenNetwork(path) for path in sorted((golden / "protein").glob("net_*"))]
    assert found, f"no golden networks in {golden}"
    return found


def golden_network(golden: Path, name: str) -> GoldenNetwork:
    return GoldenNetwork(golden / "protein" / f"net_{name}")
