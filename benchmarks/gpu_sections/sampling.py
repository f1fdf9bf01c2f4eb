"""Sampling proteins as the stage does: chains a second by calls and precision."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.gpu_sections.machine import Case, Machine
from domains.batch import Request
from domains.config import SampleSet
from domains.config.fields import located
from domains.field import load_field
from domains.stages.sampling import Sampled, Sampling

__all__ = ["cases"]

_LENGTH = 64


def cases(machine: Machine) -> list[Case]:
    """Few and many calls, in three precisions, and a small batch."""
    count, length = (2, 16) if machine.dry else (256, _LENGTH)
    plan = [(8, "32-true", count), (8, "tf32", count), (8, "bf16-mixed", count)]
    if not machine.dry:
        plan += [(1, "bf16-mixed", count), (40, "bf16-mixed", count), (8, "bf16-mixed", 16)]
    return [
        (f"{number} chains of {length}, {calls} calls, {kind}", partial(_made, machine, *one))
        for calls, kind, number in plan
        for one in [(calls, kind, number, length)]
    ]


def _made(machine: Machine, calls: int, kind: str, count: int, length: int) -> dict[str, Any]:
    field = load_field("protein")
    network = field.load(located("proteina-small-8")).eval().to(machine.device)
    sampler: Any = {"kind": "renoise", "steps": calls, "eta": 0, "noise_scale": 1}
    sampler["self_conditioning"] = True
    sampling = Sampling(field, network, SampleSet(model="student", sampler=sampler), 0, None, kind)
    requests = {k: Request(f"chain_{k}", length) for k in range(count)}
    if not machine.dry:
        sampling.samples(requests)
    began = time.perf_counter()
    made = sampling.samples(requests)
    seconds = time.perf_counter() - began
    failed = [one for one in made.values() if not isinstance(one, Sampled)]
    if failed:
        raise failed[0]
    return {"samples_per_s": count / seconds, "ms": 1000 * seconds}
