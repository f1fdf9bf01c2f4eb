"""How honest gradients through LiDiff's network are, which rounds coordinates to voxels.

SiD and SIM differentiate the clean estimates of teacher and fake score in the points. That
derivative knows what a point adds to its voxel's mean, but not that it would enter another voxel:
as a function of the points, the network is smooth between jumps. So here points are moved, and the
change of a loss is set against what its gradient promises, for moves from far below a voxel to
above it:

- *kept*: moved along the gradient, change / promised change. 1 is an honest gradient.
- *cosine*: kept / (root mean square of change / (h |gradient|) over random directions), whose
  denominator estimates the length of the true gradient; of a smooth function it is 1. Jumps of
  no direction lengthen the denominator too, so it is a lower bound of the cosine between the
  gradient and that of the loss smoothed over h.

The student is lidiff-mini in one step, the fake score lidiff-mini after some steps on its samples.
Losses are functions of the student's sample, its noise fixed. *denoising* is the teacher's error,
*networks* SiD's loss with the sample fixed everywhere but in the networks.

    OMP_NUM_THREADS=1 python studies/lidar_gradient_bias.py
"""

import argparse
import copy
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import domains.lidar
from domains.batch import Batch, Request
from domains.distillation.objectives.objective import ask_at, denoise
from domains.distillation.objectives.sid import sid_loss
from domains.distillation.objectives.sim import sim_loss
from domains.distillation.roles import Draws, Roles, RollOut
from domains.distillation.times import Times
from domains.evaluation.statistics.bootstrap import bootstrap_interval
from domains.lidar.data.scenes import Scenes, batch_of
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.local_noise import LocalNoise
from domains.lidar.settings import LidarData
from domains.lidar.simulator.writer import simulate_sequence

TEACHER = Path(domains.lidar.__file__).parent / "assets" / "lidiff-mini"
STEPS = (0.01, 0.05, 0.2, 0.5)  # h: root mean square of a coordinate's move, metre
TIMES = (0.9, 0.6, 0.2)
LOSSES = ("denoising", "networks", "SiD", "SIM")
PROCESS = LocalNoise()


def batches(teacher: LidarDenoiser, count: int, farthest: float) -> list[Batch]:
    """Return scenes of a simulated street, the part within ``farthest`` metres, encoded."""
    with tempfile.TemporaryDirectory() as directory:
        simulate_sequence(Path(directory) / "sequences" / "00", seed=0, scans=count, surface=False)
        scenes = Scenes(LidarData(path=directory, train=("00",), held_out=("01",)))
        requests = scenes.training(teacher.config, range(count))
    with torch.no_grad():
        return [teacher.encode(batch_of([cropped(each, farthest)])) for each in requests]


def cropped(request: Request, farthest: float) -> Request:
    """Return the part of a scan near the sensor, which takes less time."""
    partial = request.condition["partial"]
    near = partial[partial.norm(dim=1) < farthest]
    origin = near.repeat(request.size // len(partial), 1)
    return Request(request.name, len(origin), {"partial": near}, origin)


def trained_fake(roles: Roles, data: list[Batch], steps: int) -> LidarDenoiser:
    """Return a copy of the teacher that has learned the student's samples."""
    fake = copy.deepcopy(roles.teacher)
    assert isinstance(fake, LidarDenoiser)
    weights = fake.predictor.requires_grad_(True).parameters()
    optimiser = torch.optim.Adam(weights, 1e-4, betas=(0.0, 0.99))
    times = Times(kind="uniform", low=0.001, high=1.0)
    for step in range(steps):
        batch, draws = data[step % len(data)], Draws((0, "fake", step))
        clean = roles.play(batch, draws, gradient=False)
        optimiser.zero_grad()
        denoise(fake, clean, roles, batch, draws, times).value.backward()
        optimiser.step()
    return fake.requires_grad_(False)


class Case:
    """One scene, time and noise: losses as functions of how far the sample has been moved."""

    def __init__(self, roles: Roles, batch: Batch, time: float, number: int):
        self.roles, self.batch, self.time = roles, batch, torch.tensor([time])
        self.draws = Draws((0, "case", number))
        self.clean = roles.play(batch, self.draws, gradient=False)
        self.noise = self.draws.noise("noise")(batch.shape)

    def losses(self, move: Tensor) -> dict[str, Tensor]:
        """Return each loss by its name; SiD's without its weight, which is a constant to it."""
        batch, clean = self.batch, self.clean + move
        noisy = PROCESS.perturb(clean, self.noise, self.time, batch)
        teacher, fake = ask_at(noisy, self.time, self.roles, batch, gradient=move.requires_grad)
        predicted = PROCESS.noise_of(teacher, noisy, self.time, batch)

        def sid(sample: Tensor) -> Tensor:
            weight = (sample - teacher).detach().abs().sum()
            return (weight * sid_loss(sample, teacher, fake, batch, 1.0, "mean")).sum()

        return {
            "denoising": (predicted - self.noise).square().mean(),
            "networks": sid(self.clean),
            "SiD": sid(clean),
            "SIM": sim_loss(clean, teacher, fake, batch, 0.01).sum(),
        }

    def gradients(self) -> dict[str, Tensor]:
        """Return the gradient of each loss where nothing has moved."""
        move = torch.zeros_like(self.clean).requires_grad_(True)
        losses = self.losses(move)
        return {k: torch.autograd.grad(v, move, retain_graph=True)[0] for k, v in losses.items()}

    def slopes(self, direction: Tensor, step: float) -> dict[str, float]:
        """Return the central difference of each loss; ``direction`` has unit coordinates."""
        ahead, behind = self.losses(step * direction), self.losses(-step * direction)
        return {k: float(ahead[k] - behind[k]) / (2 * step) for k in LOSSES}

    def rows(self, directions: int) -> list[dict[str, float | str]]:
        """Return the kept share of each loss's predicted change, and random directions' squares."""
        gradients = self.gradients()
        random = self.draws.noise("directions")
        drawn = [random(self.batch.shape) for _ in range(directions)]
        rows = []
        for step in STEPS:
            found = [self.slopes(one, step) for one in drawn]
            for name, gradient in gradients.items():
                along = gradient / gradient.square().mean().sqrt()
                promised = float((along * gradient).sum())
                kept = self.slopes(along, step)[name] / promised
                length = float(gradient.norm())
                square = np.mean([(one[name] / length) ** 2 for one in found])
                rows.append({"loss": name, "h": step, "kept": kept, "square": float(square)})
        through = gradients["networks"].norm() / (gradients["SiD"] - gradients["networks"]).norm()
        return [{**row, "time": float(self.time), "through": float(through)} for row in rows]


def table(rows: pd.DataFrame) -> None:
    """Print means over the cases, with bootstrap intervals over them."""
    print("| loss | h, m | kept | cosine, at least |\n|---|---|---|---|")
    for (name, step), cases in rows.groupby(["loss", "h"], sort=False):
        kept, square = cases["kept"].to_numpy(), cases["square"].to_numpy()

        def cosine(chosen: np.ndarray, kept=kept, square=square) -> float:
            some = chosen.astype(int)
            return kept[some].mean() / np.sqrt(square[some].mean())

        found = bootstrap_interval(kept), bootstrap_interval(np.arange(len(kept)), cosine)
        cells = [f"{v:.2f} [{low:.2f}, {high:.2f}]" for v, low, high in found]
        print(f"| {name} | {step} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=3, help="each at three times")
    parser.add_argument("--range", type=float, default=50.0, help="of the scans, metre")
    parser.add_argument("--directions", type=int, default=4)
    parser.add_argument("--fake-steps", type=int, default=12)
    options = parser.parse_args()
    teacher = LidarDenoiser.load(TEACHER).requires_grad_(False)
    data = batches(teacher, options.scenes, options.range)
    print(f"Points: {', '.join(str(batch.shape[1]) for batch in data)}\n", flush=True)
    roles = Roles(PROCESS, teacher, teacher, {}, RollOut(PROCESS.times(1)))
    fake = trained_fake(roles, data, options.fake_steps)
    roles = replace(roles, fakes={"fake": fake})
    pairs = [(batch, time) for time in TIMES for batch in data]
    cases = [Case(roles, *pair, number) for number, pair in enumerate(pairs)]
    rows = pd.DataFrame([row for case in cases for row in case.rows(options.directions)])
    table(rows)
    print("\n| time | noise, m | gradient through the networks / beside them |\n|---|---|---|")
    for time, some in rows.groupby("time", sort=False):
        sigma = float(PROCESS.sigma(torch.tensor([time])))
        print(f"| {time:.1f} | {sigma:.2f} | {some['through'].mean():.2f} |")


if __name__ == "__main__":
    main()
