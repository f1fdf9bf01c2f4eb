"""One tiny simulated sequence for all LiDAR tests."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def open3d() -> None:
    """Skip what needs open3d where it or its system libraries are missing."""
    try:
        import open3d  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"open3d cannot be imported: {error}")


@pytest.fixture(scope="session")
def tiny_sequence(open3d: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scans of one street, 240 azimuths each."""
    from domains.lidar.simulator.writer import simulate_sequence

    directory = tmp_path_factory.mktemp("sequences") / "00"
    simulate_sequence(directory, seed=5, scans=3, azimuths=240)
    return directory
