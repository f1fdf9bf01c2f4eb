"""Few-step samplers that a search tries: usual ones, and ones drawn at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from domains.distillation.sampling.rescale import Rescale
from domains.distillation.sampling.settings import Renoise
from domains.distillation.sampling.tuned import RescaleRange, Tuned

if TYPE_CHECKING:
    import numpy as np

__all__ = ["drawn", "usual"]

# Noise scales γ that the papers of the two fields take, with the field's own times.
_USUAL = (0.45, 1.0)


def usual(wanted: Tuned, times: Sequence[float]) -> list[Renoise]:
    """Return the samplers to beat, with the field's own times.

    Of the noise search, the noise scales of the papers; of the search of k and s, the plain ODE and
    the middle of the ranges; of learning, the noise scales and the plain ODE.
    """
    if wanted.learn is not None:
        fresh = [_fresh(wanted, times, noise_scale=scale) for scale in _USUAL]
        return [*fresh, _cold(wanted, times, None)]
    if wanted.rescale is None:
        return [_fresh(wanted, times, noise_scale=scale) for scale in _USUAL]
    low, high = zip(wanted.rescale.sharpness, wanted.rescale.spread, strict=True)
    sharpness, spread = (math.sqrt(a * b) for a, b in zip(low, high, strict=True))
    middle = Rescale(sharpness=round(sharpness, 3), spread=round(spread, 3))
    return [_cold(wanted, times, rescale) for rescale in (None, middle)]


def drawn(wanted: Tuned, times: Sequence[float], seed: int) -> list[Renoise]:
    """Return random samplers; ``times`` are the field's own.

    Of the noise search: times even, or of even logarithms of 1 - t, and both bent by a power; γ
    changes evenly from the first call to the last; half of the samplers keep a part of their noise
    from call to call. Of the search of k and s: half of the samplers have the field's own times,
    the others times of even logarithms of 1 - t, bent.
    """
    import numpy as np

    stream = np.random.default_rng([seed, wanted.steps])
    return [_one(wanted, times, stream) for _ in range(wanted.trials)]


def _one(wanted: Tuned, own: Sequence[float], stream: np.random.Generator) -> Renoise:
    places = _places(wanted.steps, stream)
    if wanted.rescale is not None:
        rescale = _rescale(wanted.rescale, stream)
        # Without fresh noise, bonds are whole only where the last call is late.
        times = own if stream.random() < 0.5 else _log_spaced(places, stream, -1.5)
        return _cold(wanted, times, rescale)
    times = _log_spaced(places, stream, -1) if stream.random() < 0.5 else _even(places, stream)
    scales = stream.uniform(0.2, 1, 2).round(3).tolist()
    eta = round(stream.random(), 3) if stream.random() < 0.5 else 1.0
    return _fresh(wanted, times, noise_scale=scales[0], noise_scale_end=scales[1], eta=eta)


def _places(steps: int, stream: np.random.Generator) -> np.ndarray:
    """Return places in [0, 1] of all calls, even but for a power."""
    import numpy as np

    return np.linspace(0, 1, steps) ** 10 ** stream.uniform(-0.3, 0.3)


def _log_spaced(places: np.ndarray, stream: np.random.Generator, most: float) -> list[float]:
    """Return times that end at 1 - t between 10^-2.5 and 10^most."""
    first, last = stream.uniform(0.5, 1.0), 10 ** stream.uniform(-2.5, most)
    return (1 - first * (last / first) ** places).round(6).tolist()


def _even(places: np.ndarray, stream: np.random.Generator) -> list[float]:
    first, last = stream.uniform(0.0, 0.3), stream.uniform(0.6, 0.99)
    return (first + (last - first) * places).round(6).tolist()


def _rescale(ranges: RescaleRange, stream: np.random.Generator) -> Rescale:
    both = ranges.sharpness, ranges.spread
    logs = [stream.uniform(math.log(low), math.log(high)) for low, high in both]
    sharpness, spread = (round(math.exp(one), 3) for one in logs)
    return Rescale(sharpness=sharpness, spread=spread)


def _fresh(
    wanted: Tuned,
    times: Sequence[float],
    noise_scale: float,
    noise_scale_end: float | None = None,
    eta: float = 1.0,
) -> Renoise:
    return Renoise(
        steps=wanted.steps,
        times=tuple(times),
        noise_scale=noise_scale,
        noise_scale_end=noise_scale_end,
        eta=eta,
        self_conditioning=wanted.self_conditioning,
        guidance=wanted.guidance,
    )


def _cold(wanted: Tuned, times: Sequence[float], rescale: Rescale | None) -> Renoise:
    return Renoise(
        steps=wanted.steps,
        times=tuple(times),
        noise_scale=1.0,
        eta=0.0,
        rescale=rescale,
        self_conditioning=wanted.self_conditioning,
        guidance=wanted.guidance,
    )
