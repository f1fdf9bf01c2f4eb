"""The plane field: a tiny network, CSV files, the Wasserstein distance."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from domains.batch import Batch, Request, Sample
from domains.distillation.noise import generator
from domains.distillation.objectives.objective import denoising_loss
from domains.distillation.roles import Loss
from domains.evaluation.statistics.measured import Measured
from domains.field import Field
from domains.files.model_files import read_model, write_model
from fewstep_plane.mixture import PlaneFlow, draw

__all__ = ["FIELD", "PlaneField"]


class PlaneDenoiser(nn.Module):
    """A perceptron of a point and the time; it predicts the velocity."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(
            nn.Linear(6, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 3)
        )

    def forward(
        self, noisy: Tensor, time: Tensor, batch: Batch, previous: Tensor | None = None
    ) -> Tensor:
        """Estimate the clean points (see ``Denoiser``)."""
        t = time[:, None, None].expand(*noisy.shape[:2], 1)
        inputs = torch.cat([noisy, t, torch.sin(6 * t), torch.cos(6 * t)], -1)
        return (noisy + (1 - t) * self.layers(inputs)) * batch.mask[..., None]


class PlaneField(Field[PlaneDenoiser]):
    """Clouds of points that are drawn one by one from a mixture of two Gaussians."""

    name = "plane"

    def with_data(self, data):
        """Return this field: it makes its data."""
        return self

    def load(self, directory: Path) -> PlaneDenoiser:
        """Read the denoiser in ``directory``."""
        weights, config = read_model(directory)
        denoiser = PlaneDenoiser(config["width"])
        denoiser.load_state_dict({name: value.float() for name, value in weights.items()})
        return denoiser.eval()

    def save(self, denoiser: PlaneDenoiser, directory: Path, **provenance) -> None:
        """Write a denoiser in canonical form."""
        facts = {"width": denoiser.width, "provenance": provenance}
        write_model(directory, dict(denoiser.state_dict()), facts)

    def process(self, denoiser):
        """Return the linear path."""
        return PlaneFlow()

    def new(self, config, seed: int) -> PlaneDenoiser:
        """Build an untrained denoiser."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return PlaneDenoiser(config.network["width"])

    def start(self, denoiser: PlaneDenoiser, earlier: PlaneDenoiser) -> None:
        """Take over the weights."""
        denoiser.load_state_dict(earlier.state_dict())

    def training_batches(self, config, seed: int):
        """Draw 32 clouds of 64 points."""
        mask = torch.ones(32, 64, dtype=torch.bool)
        return lambda index, _: Batch(mask, draw((32, 64, 3), generator(seed, "data", index)))

    def teacher_loss(self, denoiser, process, batch: Batch, draws) -> Loss:
        """Compute the flow-matching loss."""
        time = torch.rand(len(batch.mask), generator=draws.source("time")) * 0.98
        noise = draws.noise("noise")(batch.shape)
        noisy = process.perturb(batch.points, noise, time, batch)
        loss = denoising_loss(denoiser(noisy, time, batch), batch.points, time, batch, process)
        return Loss(loss.mean(), {})

    def requests(self, plan, numbers, denoiser, seed: int) -> list[Request]:
        """Ask for clouds of the plan's size."""
        return [Request(f"cloud_{number:04d}", plan.size(number)) for number in numbers]

    def training_requests(self, section, denoiser, draws) -> list[Request]:
        """Ask for clouds of 64 points."""
        return [Request(str(k), 64) for k in range(section.batch_size)]

    def validation_requests(self, section, denoiser) -> list[Request]:
        """Ask for clouds of 64 points."""
        return [Request(str(k), 64) for k in range(section.validation_samples)]

    def blank(self, requests) -> Batch:
        """Make a mask of clouds."""
        sizes = torch.tensor([request.size for request in requests])
        return Batch(torch.arange(int(sizes.max())) < sizes[:, None])

    def held_out(self, plan, numbers, seed: int) -> dict[int, Sample]:
        """Draw true clouds: what no sampler can beat by more than chance."""
        return {k: Sample(f"true_{k:04d}", _truth(plan.size(k), seed, k)) for k in numbers}

    def decoys(self, plan, numbers, seed: int) -> dict[int, Sample]:
        """Return points at the origin."""
        return {k: Sample(f"origin_{k:04d}", torch.zeros(plan.size(k), 3)) for k in numbers}

    def validate(self, samples, requests) -> dict[str, float]:
        """Measure the mean Wasserstein distance."""
        distance = float(np.mean([_distance(sample, 0) for sample in samples]))
        return {"quality": 1 / (1 + distance), "wasserstein": distance}

    def write(self, sample: Sample, directory: Path, options) -> list[str]:
        """Write x and y as CSV."""
        np.savetxt(directory / f"{sample.name}.csv", sample.points[:, :2].numpy(), delimiter=",")
        return [f"{sample.name}.csv"]

    def read(self, path: Path) -> Sample:
        """Read back what ``write`` has written."""
        points = (
            torch.zeros(0, 3)
            if not path.stat().st_size
            else torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.float32))
        )
        return Sample(path.stem, nn.functional.pad(points, (0, 1)))

    def evaluate(self, samples, config, seed: int, tools) -> Measured:
        """Measure each cloud's distance to as many true points."""
        rows = [{"wasserstein": _distance(sample, seed)} for sample in samples]
        return Measured(pd.DataFrame(rows), ("wasserstein",))


def _truth(size: int, *key: int) -> Tensor:
    return draw((1, size, 3), generator("truth", *key))[0]


def _distance(sample: Sample, seed: int) -> float:
    """Return the Wasserstein-1 distance to as many true points, exactly."""
    cost = torch.cdist(sample.points, _truth(len(sample.points), seed + 1, 0)).numpy()
    return float(cost[linear_sum_assignment(cost)].mean())


FIELD = PlaneField()
