"""One tiny simulated sequence and a small denoiser for all LiDAR tests."""

from pathlib import Path

import pytest
from lidar.tiny_denoiser import tiny_denoiser

from domains.lidar.denoiser import LidarDenoiser


@pytest.fixture(scope="session")
def tiny_sequence(open3d: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans of one street, 240 azimuths each."""
    from domains.lidar.simulator.writer import simulate_sequence

    directory = tmp_path_factory.mktemp("sequences") / "00"
    simulate_sequence(directory, seed=5, scans=3, azimuths=240)
    return directory


@pytest.fixture(scope="module")
def model() -> LidarDenoiser:
    """A denoiser with a refinement network, made anew for each file."""
    return tiny_denoiser(refined=True)
