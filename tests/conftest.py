"""Shared fixtures: golden values, tiny streets, and one thread for repeatable timing."""

from pathlib import Path

import pytest
import torch
from tiny_run import simulate_streets

from domains.config import Data

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-root",
        type=Path,
        default=Path(__file__).parent / "golden",
        help="directory of golden values (same layout as tests/golden)",
    )


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Path:
    """Directory of the golden values made with the reference programs."""
    return request.config.getoption("--golden-root")


@pytest.fixture(scope="session")
def open3d() -> None:
    """Skip what needs open3d where it or its system libraries are missing."""
    try:
        import open3d  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"open3d cannot be imported: {error}")


@pytest.fixture(scope="session")
def tiny_streets(open3d: None, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Two training streets and a held-out one."""
    return simulate_streets(tmp_path_factory.mktemp("streets"))
