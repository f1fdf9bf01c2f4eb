"""Contract: MinkowskiEngine and plain torch are one layer, whichever is asked for.

Where MinkowskiEngine is missing, asking for it is one clear error; nothing else needs it.
"""

import sys

import pytest
import torch
from lidar.clouds import normal_points
from torch import Tensor

from domains.errors import FewstepError
from domains.lidar.network import ConditionEncoder, NetworkConfig, NoisePredictor
from domains.lidar.sparse import Cloud, voxelise
from domains.lidar.sparse.pyramid import TorchPyramid

SIZE = 0.05
LAYERS = {"convolve": (27, 0), "down": (8, 0), "up": (8, 1)}
STEP = torch.tensor([500])


@pytest.fixture
def minkowski() -> None:
    pytest.importorskip("MinkowskiEngine", exc_type=ImportError)


def cloud_of(backend: str | None, count: int = 300, size: float = SIZE, scans: int = 2) -> Cloud:
    """Points at both sides of the origin, about six neighbours each."""
    return voxelise(normal_points(count, 0.15), torch.arange(count) % scans, size, backend)


def layer(backend: str, name: str, level: int, count: int) -> list[Tensor]:
    """Output of a layer, and the gradients of features and kernel."""
    offsets, below = LAYERS[name]
    pyramid, source = cloud_of(backend, count).mean.pyramid, torch.Generator().manual_seed(1)
    rows = len(pyramid.voxels(level + below))
    features = torch.randn(rows, 3, generator=source, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(offsets, 3, 4, generator=source, dtype=torch.float64, requires_grad=True)
    out = getattr(pyramid, name)(features, kernel, level + below)
    return [out.detach(), *torch.autograd.grad(out.sin().sum(), [features, kernel])]


@pytest.mark.usefixtures("minkowski")
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("count", [300, 1, 0])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_and_its_gradients_are_those_of_torch(name: str, count: int, level: int) -> None:
    found, expected = (layer(backend, name, level, count) for backend in ("minkowski", "torch"))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("minkowski")
def test_a_whole_network_is_that_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(width=0.25, voxel_size=0.2)
    encoder, network = ConditionEncoder(config).eval(), NoisePredictor(config).eval()
    noise = {}
    for backend in ("torch", "minkowski"):
        monkeypatch.setenv("FEWSTEP_SPARSE", backend)
        cloud = cloud_of(None, size=config.voxel_size, scans=1)
        with torch.inference_mode():
            noise[backend] = network(cloud, STEP, encoder(cloud))
    assert noise["torch"].std() > 0
    torch.testing.assert_close(noise["minkowski"], noise["torch"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("by_variable", [False, True])
def test_without_minkowski_engine_asking_for_it_is_one_line(
    by_variable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "MinkowskiEngine", None)
    if by_variable:
        monkeypatch.setenv("FEWSTEP_SPARSE", "minkowski")
    with pytest.raises(FewstepError, match="needs MinkowskiEngine") as caught:
        cloud_of(None if by_variable else "minkowski")
    assert "\n" not in str(caught.value)


def test_torch_is_the_default_and_an_argument_beats_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FEWSTEP_SPARSE", raising=False)
    assert isinstance(cloud_of(None).mean.pyramid, TorchPyramid)
    monkeypatch.setenv("FEWSTEP_SPARSE", "spconv")
    assert isinstance(cloud_of("torch").mean.pyramid, TorchPyramid)
    with pytest.raises(FewstepError, match="expected torch or minkowski, got spconv"):
        cloud_of(None)
