"""One tiny simulated sequence for all LiDAR tests."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_sequence(open3d: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans of one street, 240 azimuths each."""
    from domains.lidar.simulator.writer import simulate_sequence

    directory = tmp_path_factory.mktemp("sequences") / "00"
    simulate_sequence(directory, seed=5, scans=3, azimuths=240)
    return directory
