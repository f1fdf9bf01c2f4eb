"""Shared fixtures: golden values, tiny inputs, wrong input, and one thread for repeatability."""

from pathlib import Path

import pytest
import torch
from refusals import Place, make_place
from tiny_run import save_teacher, simulate_streets

from domains.lidar.settings import LidarData

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
def tiny_streets(open3d: None, tmp_path_factory: pytest.TempPathFactory) -> LidarData:
    """Two training streets and a held-out one."""
    return simulate_streets(tmp_path_factory.mktemp("streets"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a tiny protein teacher."""
    return save_teacher(tmp_path_factory.mktemp("model"))


@pytest.fixture
def place(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> Place:
    """A directory for wrong input, and the command line that refuses it."""
    return make_place(tmp_path, teacher, monkeypatch, capfd)
