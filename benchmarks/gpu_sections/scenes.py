"""LiDiff's network at full width: forward and training at 20,000 and 180,000 points."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu_sections.machine import Case, Machine, computing
from domains.config.fields import located
from domains.field import load_field
from domains.lidar.local_noise import LocalNoise, time_of
from domains.lidar.network import ConditionEncoder, NetworkConfig, NoisePredictor
from domains.lidar.sparse import Cloud, voxelise

__all__ = ["cases", "street"]


def cases(machine: Machine) -> list[Case]:
    """Little and much noise, forward in two precisions, a training step; the network of points."""
    sizes = (300,) if machine.dry else (20_000, 180_000)
    made: list[Case] = []
    for points in sizes:
        for timestep in (60, 999):
            one = f"LiDiff, {points} points, t = {timestep}"
            forward = partial(_lidiff, machine, points, timestep)
            made.append((f"{one}, fp32", partial(forward, "fp32", False)))
            if not machine.dry:
                made.append((f"{one}, tf32", partial(forward, "tf32", False)))
            made.append((f"{one}, tf32, training", partial(forward, "tf32", True)))
    count = 300 if machine.dry else 18_000
    made.append((f"lidar-street, {count} points, fp32", partial(_points, machine, count)))
    return made


def street(count: int) -> Tensor:
    """Draw points of a street: its ground and two rows of houses, metre."""
    source = torch.Generator().manual_seed(0)
    along = 100 * torch.rand(count, generator=source) - 50
    across, height = torch.rand(2, count, generator=source)
    wall = torch.rand(count, generator=source) < 0.4
    side = torch.where(across < 0.5, -8.0, 8.0)
    y = torch.where(wall, side, 16 * across - 8)
    return torch.stack([along, y, torch.where(wall, 6 * height, 0 * height) - 1.7], -1)


@cache
def _networks(machine: Machine) -> tuple[nn.Module, nn.Module]:
    config = NetworkConfig.parse({"width": 0.125} if machine.dry else {}, "LiDiff")
    with torch.device(machine.device):
        return ConditionEncoder(config).eval(), NoisePredictor(config).eval()


def _cloud(points: Tensor) -> Cloud:
    scan = torch.zeros(len(points), dtype=torch.long, device=points.device)
    return voxelise(points, scan, 0.05)


def _lidiff(
    machine: Machine, points: int, timestep: int, kind: str, training: bool
) -> dict[str, Any]:
    encoder, network = _networks(machine)
    partial_scan = street(points // 10)
    sigma = float(LocalNoise().sigma(time_of(torch.tensor([timestep]))))
    copies = partial_scan.repeat(10, 1)
    source = torch.Generator().manual_seed(1)
    noisy = copies + sigma * torch.randn(copies.shape, generator=source)
    partial_scan, noisy = partial_scan.to(machine.device), noisy.to(machine.device)
    told = torch.tensor([timestep], device=machine.device)

    def run() -> None:
        with computing(kind, machine.device), torch.set_grad_enabled(training):
            out = network(_cloud(noisy), told, encoder(_cloud(partial_scan)))
            if training:
                out.square().mean().backward()
                for one in (encoder, network):
                    one.zero_grad(set_to_none=True)

    return machine.timed(run)


def _points(machine: Machine, count: int) -> dict[str, Any]:
    denoiser = load_field("lidar").load(located("lidar-street")).eval().to(machine.device)
    scan = street(count // 10).to(machine.device)
    noisy = scan.repeat(10, 1) + 0.1 * torch.randn(len(scan) * 10, 3, device=machine.device)
    told = torch.tensor([500], device=machine.device)
    which = torch.zeros(len(noisy), dtype=torch.long, device=machine.device)

    def run() -> None:
        with torch.no_grad():
            condition = denoiser.encoder.encode(scan[None], 1)
            denoiser.predictor.predict(noisy, which, told, condition)

    return machine.timed(run)
