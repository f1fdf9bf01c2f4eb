"""Calibration: how much of its predicted noise to believe, at each level of noise.

LiDiff's regulariser (Nunes et al. 2024, eq. 8) asks for predictions as large as the noise. But
along a surface nothing can be known of it, so the best prediction is smaller, and every step of a
sampler goes too far. A factor c(σ) that is fitted afterwards takes this back.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from domains.errors import FewstepError
from domains.settings import is_mapping

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """Factors of predicted noise at some timesteps; between them they are interpolated.

    Attributes:
        timesteps: LiDiff's timesteps, rising, in [0, 999].
        factors: c of each, above 0.
    """

    timesteps: tuple[int, ...]
    factors: tuple[float, ...]

    def factor(self, timestep: Shaped[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Return c at each timestep; beyond the ends it is that of the end."""
        known = torch.tensor(self.timesteps, dtype=torch.float32, device=timestep.device)
        values = torch.tensor(self.factors, dtype=torch.float32, device=timestep.device)
        place = timestep.float().clamp(self.timesteps[0], self.timesteps[-1])
        right = torch.searchsorted(known, place).clamp(1, max(1, len(known) - 1))
        if len(known) == 1:
            return values.expand_as(place)
        left = right - 1
        share = (place - known[left]) / (known[right] - known[left])
        return torch.lerp(values[left], values[right], share)

    def describe(self) -> dict[str, Any]:
        """Return what ``parse`` reads."""
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def parse(cls, content: Any, source: str) -> "Calibration":
        """Read a calibration from a ``model.json``.

        Raises:
            FewstepError: It is no table of rising timesteps and positive factors.
        """
        try:
            assert is_mapping(content)
            timesteps = tuple(int(step) for step in content["timesteps"])
            factors = tuple(float(factor) for factor in content["factors"])
            rising = all(a < b for a, b in pairwise(timesteps))
            assert timesteps and len(timesteps) == len(factors) and rising
            assert timesteps[0] >= 0 and timesteps[-1] <= 999
            assert all(0 < factor < float("inf") for factor in factors)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise FewstepError(
                f"{source} has a calibration that makes no sense",
                expected="timesteps, rising within 0 to 999, and as many factors above 0",
                got=content,
            ) from error
        return cls(timesteps, factors)
