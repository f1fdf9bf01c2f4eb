"""Proteina's network: ms and peak memory, and the plain implementation beside it."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_sections.machine import Case, Machine, computing
from benchmarks.protein_network import inputs, network, plain
from domains.config.fields import located
from domains.field import load_field
from domains.protein.network import Proteina
from domains.protein.network.captured import Captured
from domains.protein.network.features import Inputs

__all__ = ["cases", "moved"]

_BATCH = 16


def cases(machine: Machine) -> list[Case]:
    """Every network, length and precision, forward and with backward; the plain ones last."""
    sizes = ("small",) if machine.dry else ("small", "60M", "200M")
    lengths = (16,) if machine.dry else (64, 128, 256)
    kinds = ("fp32", "bf16") if machine.dry else ("fp32", "tf32", "bf16")
    batch = 2 if machine.dry else _BATCH
    ours: list[Case] = []
    for size in sizes:
        for n in lengths:
            for kind in kinds:
                for backward in (False, True):
                    name = f"{size}, n = {n}, {kind}{', with backward' if backward else ''}"
                    run = partial(_measured, machine, size, n, batch, kind, backward, False)
                    ours.append((name, run))
        for n in lengths:
            run = partial(_measured, machine, size, n, batch, "bf16", False, False, True)
            ours.append((f"{size}, n = {n}, bf16, recorded", run))
    theirs: list[Case] = [
        (
            f"plain {size}, n = {n}, {kind}",
            partial(_measured, machine, size, n, batch, kind, False, True),
        )
        for size in (("60M",) if machine.dry else sizes[1:])
        for n in lengths
        for kind in ("fp32", "bf16")
    ]
    return ours + theirs


def moved(given: Inputs, device: torch.device) -> Inputs:
    """Return inputs on a device."""
    values = {field.name: getattr(given, field.name) for field in fields(given)}
    there = {k: v.to(device) for k, v in values.items() if isinstance(v, Tensor)}
    return replace(given, **there)


@lru_cache(maxsize=1)  # or one network's weights would count in another's peak
def _built(size: str, device: torch.device) -> Proteina:
    """Build a network of random weights, or the bundled one of 16 M."""
    if size == "small":
        return load_field("protein").load(located("proteina-small")).network.to(device)
    with torch.device(device):
        return network(size, triangles=False)


def _measured(
    machine: Machine,
    size: str,
    n: int,
    batch: int,
    kind: str,
    backward: bool,
    slow: bool,
    recorded: bool = False,
) -> dict[str, Any]:
    """Measure a network: ours or the plain one, eager or recorded (see ``Captured``)."""
    net = _built(size, machine.device).requires_grad_(backward)
    given = moved(inputs(n, batch, conditioned=True), machine.device)
    captured = Captured() if recorded else None

    def forward() -> Tensor:
        if slow:
            return plain(net, given)
        return (net(given) if captured is None else captured(net, given)).coors_pred

    def run() -> None:
        with computing(kind, machine.device), torch.set_grad_enabled(backward):
            out = forward()
        if backward:
            out.square().mean().backward()
            net.zero_grad(set_to_none=True)

    for _ in range(0 if captured is None else 3):
        run()  # what comes again and again is recorded
    found = machine.timed(run)
    return {**found, "residues_per_s": batch * n / found["ms"] * 1000}
