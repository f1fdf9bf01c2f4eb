"""Contract: time grids and g(t) are the reference's; the grids in use to the last bit."""

import math
from pathlib import Path

import pytest
import torch
from protein.network.golden_files import arrays

from domains.distillation.sampling.schedule import (
    diffusion_coefficient,
    renoise_times,
    sampling_times,
)

EXACT = ("log", "uniform", "power")
# Other grids go through sin, pow and exp, which differ by machine in their last places.
RELATIVE = 1e-6


@pytest.fixture(scope="module")
def tables(golden: Path) -> dict[str, torch.Tensor]:
    found = arrays(golden / "protein/sampler/tables.npz")
    assert found
    return found


def parts(key: str) -> list[str]:
    """Split "kind.name.1.0.None.20" into kind, name, numbers; a number keeps its point."""
    kind, name, *rest = key.split(".")
    numbers = []
    while rest:
        whole = rest.pop(0)
        numbers.append(whole if whole == "None" or not rest[:1] else f"{whole}.{rest.pop(0)}")
    return [kind, name, *numbers]


def test_time_grids_agree(tables):
    keys = [key for key in tables if key.startswith("ts.")]
    assert keys
    for key in keys:
        _, name, power, steps = parts(key)
        ours = sampling_times(name, int(steps), float(power))
        if name in EXACT:
            assert torch.equal(ours, tables[key]), key
        torch.testing.assert_close(ours, tables[key], rtol=RELATIVE, atol=RELATIVE)


def test_diffusion_coefficients_agree(tables):
    keys = [key for key in tables if key.startswith("gt.")]
    assert keys
    for key in keys:
        _, name, power, maximum, steps = parts(key)
        times = sampling_times("log", int(steps), 2.0)[:-1]
        bound = None if maximum == "None" else float(maximum)
        ours = diffusion_coefficient(times, name.replace("1_over_t", "1/t"), float(power), bound)
        torch.testing.assert_close(ours, tables[key], rtol=3 * RELATIVE, atol=RELATIVE, msg=key)


def test_roll_out_times_agree(golden: Path):
    found = arrays(golden / "protein/sampler/sid_samplers.npz")
    names = [key for key in found if key.endswith(".t")]
    assert names
    for name in names:
        expected = found[name][:, 0]
        assert torch.equal(renoise_times(len(expected)), expected), name


def test_diffusion_is_finite_at_both_ends():
    for kind in ("1/t", "us", "tan"):
        assert diffusion_coefficient(torch.tensor([0.0, 1.0]), kind).isfinite().all()
    assert float(diffusion_coefficient(torch.tensor([0.0]))) == pytest.approx(100, rel=1e-5)
    assert math.isclose(float(renoise_times(1)), 0.37, rel_tol=1e-6)
