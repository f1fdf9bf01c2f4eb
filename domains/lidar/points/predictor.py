"""The noise of each point, from the scan around it."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from domains.lidar.local_noise import LocalNoise, time_of
from domains.lidar.points.attention import HEADS, NeighbourAttention
from domains.lidar.points.config import PointConfig
from domains.lidar.points.encoder import Level, Levels, placed_in_scene
from domains.lidar.points.neighbours import gathered, nearest_points

__all__ = ["PointPredictor"]

# Sine and cosine of log σ at eight frequencies.
_FREQUENCIES = 8
# Metre; added to σ before offsets are divided by it.
_FINEST = 0.1
# Bound of offsets in units of the noise: far neighbours tell nothing of where a surface is.
_LARGEST = 8.0
# Points that are computed at once where no gradient is wanted.
_PIECE = 4096


class PointPredictor(nn.Module):
    """Each noisy point attends to the levels of the scan; its answer is the noise in units of σ.

    Points do not see each other, as noise is independent and truth unknown: what there is to know
    of a point's noise is where the scan has surfaces.
    """

    def __init__(self, config: PointConfig):
        super().__init__()
        self.config = config
        own = 2 * _FREQUENCIES + 4
        self.attend = nn.ModuleList(
            NeighbourAttention(own, config.channels, config.channels) for _ in config.units
        )
        offsets = 3 * HEADS * len(config.units)
        known = own + len(config.units) * config.channels
        width = 2 * config.channels
        self.features = nn.Sequential(
            nn.Linear(known + 2 * offsets, width),
            nn.SiLU(),
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.SiLU(),
        )
        self.last = nn.Linear(width, 3)
        self.direct = nn.Linear(offsets, 3, bias=False)
        for layer in (self.last, self.direct):
            nn.init.zeros_(layer.weight)

    def predict(
        self,
        points: Float[Tensor, "m 3"],
        scan: Shaped[Tensor, " m"],
        timestep: Shaped[Tensor, " b"],
        condition: Levels,
    ) -> tuple[Float[Tensor, "m 3"], Float[Tensor, " m"]]:
        """Return the noise of each point, and the mean of its features as a logit.

        Args:
            points: Noisy points of all scans, the first scan's first, metre.
            scan: Number of the scan that each belongs to.
            timestep: Step of each scan in LiDiff's noise schedule, 0 to 999.
            condition: The encoded scans.
        """
        sigmas = LocalNoise().sigma(time_of(timestep))
        counts = torch.bincount(scan, minlength=len(sigmas)).tolist()
        noise, logits = [], []
        for own, sigma, levels in zip(points.split(counts), sigmas, condition.scans, strict=True):
            # Without gradients, pieces keep what is computed of them in the cache.
            for piece in (own,) if torch.is_grad_enabled() else own.split(_PIECE):
                found, features = self(piece, sigma, levels)
                noise.append(found)
                logits.append(features.mean(-1))
        return torch.cat(noise), torch.cat(logits)

    def forward(
        self,
        noisy: Float[Tensor, "n 3"],
        sigma: Float[Tensor, ""],
        levels: tuple[Level, ...],
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n c"]]:
        """Return the noise of points of one scan, and the features that it comes from.

        Args:
            noisy: Points, metre.
            sigma: Standard deviation of their noise, metre.
            levels: The encoded scan.
        """
        frequency = 2.0 ** torch.arange(_FREQUENCIES, device=noisy.device) / 2
        angle = (sigma.log() * frequency).expand(len(noisy), -1)
        own = torch.cat([angle.sin(), angle.cos(), placed_in_scene(noisy, self.config)], -1)
        known, places = [own], []
        sizes = zip(levels, self.attend, self.config.neighbours, self.config.units, strict=True)
        for level, attend, count, unit in sizes:
            rows = nearest_points(noisy, level.points, count)
            offset = (gathered(level.points, rows) - noisy[:, None]) / unit
            features, place = attend(own, offset, gathered(level.features, rows))
            known.append(features)
            places.append(unit * place)
        offsets = torch.cat(places, -1)
        scaled = _bounded(offsets / (sigma + _FINEST))
        features = self.features(torch.cat([*known, offsets, scaled], -1))
        return self.last(features) - self.direct(scaled), features


def _bounded(values: Tensor) -> Tensor:
    """Return small values as they are, and large ones below ``_LARGEST``."""
    return values / (1 + values.abs() / _LARGEST)
