"""Shared fixtures: where the golden values are, and one thread for repeatable timing."""

from pathlib import Path

import pytest
import torch

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
