"""Does the device compute what the CPU does? Networks, a sampler, losses, gradients, measures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_sections.machine import Case, Machine
from benchmarks.gpu_sections.scenes import street
from domains.batch import Batch
from domains.config.fields import located
from domains.distillation.noise import SampleNoise, generator
from domains.distillation.objectives.flow_map import FlowMap, FlowMapConfig
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.sid import SiD, SiDConfig
from domains.distillation.objectives.teacher import TeacherTraining
from domains.distillation.objectives.vsd import VSD, VSDConfig
from domains.distillation.process import FlowMatching
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.sampling.roll_out import RollOutConfig
from domains.distillation.sampling.sampler import last, renoise
from domains.field import load_field
from domains.lidar.sparse import voxelise
from domains.lidar.sparse.nearest import nearest
from domains.protein.data.dataset import load_domains
from domains.protein.data.token_batches import TokenBatches
from domains.protein.field import FIELD
from domains.protein.losses.structure_errors import structure_errors

__all__ = ["cases"]

# Distances at a bin's boundary are another feature after the last bit, which a sampler amplifies.
_BOUNDS = {"network": 1e-2, "sampler": 5e-2, "loss": 2e-2, "gradient": 0.1, "scene": 1e-3}
_EXACT = 1e-6


def cases(machine: Machine) -> list[Case]:
    """Compute on both, in float32 without TF32, and compare."""
    objectives: dict[str, Objective[Any]] = {
        "flow matching": TeacherTraining(FIELD.teacher_loss),
        "vsd": VSD(VSDConfig()),
        "sid": SiD(SiDConfig()),
        "flow map": FlowMap(FlowMapConfig()),
    }
    made: list[Case] = [
        ("network: proteina-small", partial(_compared, machine, _network, "network")),
        ("sampler: 8 calls of proteina-small-8", partial(_compared, machine, _sampler, "sampler")),
    ]
    for name, objective in objectives.items():
        compute = cache(partial(_loss, objective))
        pick: Callable[[torch.device], Tensor] = lambda at, c=compute: c(at)[0]  # noqa: E731
        made.append((f"loss: {name}", partial(_compared, machine, pick, "loss")))
        pick = lambda at, c=compute: c(at)[1]  # noqa: E731
        made.append((f"gradient: {name}", partial(_compared, machine, pick, "gradient")))
    made.append(("measure: bonds and clashes", partial(_compared, machine, _measure, None)))
    made.append(("scene: nearest voxels", partial(_compared, machine, _nearest, None)))
    made.append(("scene: lidiff-mini", partial(_compared, machine, _scene, "scene")))
    made.append(("scene: lidar-street", partial(_compared, machine, _points, "scene")))
    return made


def _compared(
    machine: Machine, compute: Callable[[torch.device], Tensor], bound: str | None
) -> dict[str, Any]:
    """Return the norm of the difference, relative to the CPU's result."""
    here = compute(torch.device("cpu")).double()
    there = compute(machine.device).cpu().double()
    error = float((there - here).norm() / here.norm().clamp(min=1e-12))
    most = _EXACT if bound is None else _BOUNDS[bound]
    return {"relative_difference": error, "bound": most, "equal": error <= most}


def _denoiser(name: str, device: torch.device) -> Any:
    field = load_field("lidar" if name.startswith("lidar") or "lidiff" in name else "protein")
    return field.load(located(name)).eval().to(device)


@cache
def _chains(count: int = 2) -> Batch:
    """Return chains of 40 to 80 residues."""
    batch = TokenBatches(load_domains(None).subset("train", 40, 80), 80 * 16, 0).batch(0)
    assert batch.points is not None
    return Batch(mask=batch.mask[:count], points=batch.points[:count])


def _network(device: torch.device) -> Tensor:
    batch = _chains().to(device)
    time = torch.tensor([0.3, 0.8], device=device)
    noise = Draws((0,), device).noise("noise")(batch.shape)
    assert batch.points is not None
    noisy = FlowMatching().perturb(batch.points, noise, time, batch)
    with torch.no_grad():
        return _denoiser("proteina-small", device)(noisy, time, batch, batch.points)


def _sampler(device: torch.device) -> Tensor:
    batch, denoiser = _chains().to(device), _denoiser("proteina-small-8", device)
    sizes = [int(size) for size in batch.sizes]
    noise = SampleNoise([generator(0, "sample", k) for k in range(len(sizes))], sizes, device)
    times = FlowMatching().times(8)
    with torch.no_grad():
        steps = renoise(
            denoiser, FlowMatching(), batch, times, noise, eta=0, self_conditioning=True
        )
        return last(steps)


def _loss(objective: Objective[Any], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the student's loss, and its gradient as one vector."""
    student = _denoiser("proteina-small-8", device).requires_grad_(True)
    teacher = _denoiser("proteina-small", device).requires_grad_(False)
    process, settings = FlowMatching(), RollOutConfig(steps=4, eta=0)
    roles = Roles(
        process=process,
        student=student,
        teacher=teacher,
        fakes={"fake": copy.deepcopy(student).requires_grad_(False)},
        roll_out=RollOut.of(settings, process),
    )
    loss = objective.student_loss(roles, _chains().to(device), Draws((0,), device)).value
    loss.backward()
    found = [one.grad.flatten() for one in student.parameters() if one.grad is not None]
    return loss.detach(), torch.cat(found)


def _measure(device: torch.device) -> Tensor:
    batch = _chains().to(device)
    assert batch.points is not None
    return torch.stack(list(structure_errors(batch.points + 0.1, batch).values()))


def _scans(device: torch.device, count: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    scan = street(count)
    noise = 0.1 * torch.randn(10 * count, 3, generator=source)
    return scan.to(device), (scan.repeat(10, 1) + noise).to(device)


def _nearest(device: torch.device) -> Tensor:
    scan, noisy = _scans(device, 200)
    clouds = [
        voxelise(one, torch.zeros(len(one), dtype=torch.long, device=device), 0.05)
        for one in (noisy, scan)
    ]
    return nearest(clouds[0].mean.voxels, clouds[1].mean.voxels).double()


def _noise_of(name: str, device: torch.device) -> Tensor:
    scan, noisy = _scans(device, 200)
    denoiser = _denoiser(name, device)
    batch = Batch(
        mask=torch.ones(1, len(noisy), dtype=torch.bool, device=device),
        condition={"partial": scan[None]},
    )
    with torch.no_grad():
        return denoiser.noise(noisy[None], torch.tensor([0.5], device=device), batch)


def _scene(device: torch.device) -> Tensor:
    return _noise_of("lidiff-mini", device)


def _points(device: torch.device) -> Tensor:
    return _noise_of("lidar-street", device)
