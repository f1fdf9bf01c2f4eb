"""Contract: refined chains have ideal bonds, are moved little, and broken ones stay broken."""

import numpy as np
import pytest
import torch
from tiny_run import NETWORK, content

from domains.batch import Request
from domains.config import parse_config
from domains.errors import FewstepError
from domains.protein.data.dataset import load_domains
from domains.protein.field import FIELD
from domains.protein.ideal_bonds import BOND, with_ideal_bonds
from domains.protein.settings import ProteinPretrain


def bonds(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(points, axis=0), axis=-1)


def refined(points: np.ndarray) -> np.ndarray:
    return with_ideal_bonds(torch.from_numpy(points)).numpy()


@pytest.fixture(scope="module")
def native() -> np.ndarray:
    known = load_domains().subset("test")
    return next(
        points.astype(np.float64)
        for points in map(known.points, range(len(known.ids)))
        if (abs(bonds(points) - BOND) < 0.02).all()
    )


def test_the_length_is_that_of_natives() -> None:
    known = load_domains().subset("train")
    steps = np.concatenate([bonds(known.points(k)) for k in range(len(known.ids))])
    assert abs(steps[(steps > 0.36) & (steps < 0.40)].mean() - BOND) < 2e-4


@pytest.mark.parametrize("noise", [0.003, 0.01, 0.02])
def test_noise_leaves_the_bonds_and_the_chain_comes_nearer(
    native: np.ndarray, noise: float
) -> None:
    noisy = native + np.random.default_rng(0).normal(0, noise, native.shape)
    mended = refined(noisy)
    assert abs(bonds(mended) - BOND).max() < 1e-6
    assert np.linalg.norm(mended - native) < np.linalg.norm(noisy - native)
    assert np.allclose(mended.mean(0), noisy.mean(0))


def test_it_is_the_smallest_displacement_to_first_order(native: np.ndarray) -> None:
    """The way is along the bonds alone: across them nothing is moved."""
    noisy = native + np.random.default_rng(1).normal(0, 1e-4, native.shape)
    ideal = refined(native)
    start = ideal + (noisy - native)
    way = refined(start) - start
    along = np.diff(ideal, axis=0) / BOND
    gradients = np.zeros((len(along), *ideal.shape))
    for k, one in enumerate(along):
        gradients[k, k], gradients[k, k + 1] = -one, one
    basis = gradients.reshape(len(along), -1).T
    kept = basis @ np.linalg.lstsq(basis, way.ravel(), rcond=None)[0]
    assert np.linalg.norm(kept - way.ravel()) < 1e-3 * np.linalg.norm(way)


@pytest.mark.parametrize("fault", [0.2, 5.0, np.nan])
def test_a_broken_chain_stays_as_it_is(native: np.ndarray, fault: float) -> None:
    broken = native.copy()
    broken[10:] += fault
    assert np.array_equal(refined(broken), broken, equal_nan=True)


def test_a_residue_has_no_bonds() -> None:
    assert with_ideal_bonds(torch.zeros(1, 3)).tolist() == [[0, 0, 0]]


def test_refined_samples_cost_no_network_call(native: np.ndarray) -> None:
    denoiser = FIELD.new(
        ProteinPretrain.model_validate({"network": NETWORK, "fit": {"steps": 1}}), 0
    )
    points, request = torch.from_numpy(native).float(), Request("one", len(native))
    assert torch.equal(FIELD.finish(denoiser, points, request, False), points)
    mended = FIELD.finish(denoiser, points, request, True)
    assert FIELD.refining_calls == 0
    assert mended.dtype == torch.float32 and abs(bonds(mended.numpy()) - BOND).max() < 1e-5
    sets = {"student_2": {"refine": True}}
    assert parse_config(content(sets=sets)).sets["student_2"].refine
    with pytest.raises(FewstepError, match=r"refine"):
        parse_config(content(sets={"student_2": {"refine": "much"}}))
