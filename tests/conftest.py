"""Shared fixtures: golden values, tiny inputs, wrong input; one thread and seeds, to repeat."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from refusals import Place, make_place
from seeding import fixture_name, seed_by_name
from tiny_run import save_teacher, simulate_streets

from domains.lidar.settings import LidarData

torch.set_num_threads(1)
# The same examples in every run; to search for new ones: pytest --hypothesis-profile=default.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Seed each fixture, of every scope, by its own name."""
    seed_by_name(fixture_name(fixturedef, request))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Seed each test by its name, after its fixtures."""
    seed_by_name(item.nodeid)
    return (yield)


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
