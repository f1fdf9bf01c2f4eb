"""Contract: a training batch is a pure function of its key.

It holds whole domains, centred and rigidly rotated, within its budget; every domain comes once
per epoch; a resumed run draws the same batches.
"""

from collections import Counter

import numpy as np
import pytest
import torch
from protein.packed_sets import built

from domains.errors import FewstepError
from domains.protein.data.dataset import CathDomains, load_domains, save_domains
from domains.protein.data.token_batches import TokenBatches


@pytest.fixture(scope="module")
def packed() -> CathDomains:
    return load_domains()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> CathDomains:
    path = tmp_path_factory.mktemp("small") / "small.npz"
    lengths = np.random.default_rng(1).integers(5, 30, 101).tolist()
    save_domains(path, built(lengths))
    return load_domains(path)


@pytest.mark.parametrize("index", [0, 1, 17, 1000])
def test_batch_holds_rigid_centred_copies(small: CathDomains, index: int) -> None:
    batches = TokenBatches(small, 100, seed=3)
    batch = batches.batch(index)
    assert batch.points is not None
    assert batch.points.dtype == torch.float32
    assert batch.mask.numel() <= 100
    members = batches.members(index)
    assert batch.condition["cath_code"] == [[small.cath[i]] for i in members]
    for row, i in enumerate(members):
        n = int(small.lengths[i])
        assert batch.mask[row].tolist() == [k < n for k in range(batch.mask.shape[1])]
        assert not batch.points[row, n:].any()
        turned, source = batch.points[row, :n].double().numpy(), small.points(i).astype(float)
        rotation = np.linalg.lstsq(source, turned, rcond=None)[0]
        np.testing.assert_allclose(source @ rotation, turned, atol=1e-5)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-4)
        assert np.linalg.det(rotation) > 0  # a mirror image is another molecule
        assert np.abs(turned.mean(0)).max() < 1e-5


def test_every_domain_comes_once_per_epoch_in_a_new_order(small: CathDomains) -> None:
    batches = TokenBatches(small, 100, seed=3)
    epochs = []
    for epoch in range(3):
        seen = [batches.members(epoch * batches.per_epoch + k) for k in range(batches.per_epoch)]
        assert Counter(np.concatenate(seen).tolist()) == Counter(range(len(small)))
        epochs.append([tuple(members.tolist()) for members in seen])
    assert epochs[0] != epochs[1] != epochs[2]
    assert set(epochs[0]) != set(epochs[1])  # other companions, not only another order


def test_batches_depend_on_their_key_alone(small: CathDomains) -> None:
    first, resumed = TokenBatches(small, 100, seed=5), TokenBatches(small, 100, seed=5)
    run = [first.batch(k) for k in range(30)]
    for k in (29, 3, 11):
        again = resumed.batch(k)
        assert torch.equal(again.points, run[k].points)
        assert torch.equal(again.mask, run[k].mask)
        assert again.condition == run[k].condition
    other = TokenBatches(small, 100, seed=6).batch(3)
    assert other.points.shape != run[3].points.shape or not torch.equal(other.points, run[3].points)


def test_rotations_are_uniform(small: CathDomains) -> None:
    """A uniform rotation turns a fixed direction to mean 0 and covariance 1/3 (n = 2,000)."""
    one = CathDomains(
        coordinates=np.array([[0, 0, 1], [0, 0, -1]], dtype=np.float32),
        lengths=np.array([2]),
        ids=("x",),
        cath=("1.1.1.1",),
        split=np.array([0]),
        sequences=("AA",),
    )
    batches = TokenBatches(one, 2)
    tips = torch.stack([batches.batch(k).points[0, 0] for k in range(2000)]).double()
    assert tips.mean(0).abs().max() < 0.06  # 4.6 standard errors
    assert (tips.T @ tips / 2000 - torch.eye(3) / 3).abs().max() < 0.04


def test_packed_batches_waste_little(packed: CathDomains) -> None:
    batches = TokenBatches(packed.subset("train"), 1000)
    masks = [batches.batch(k).mask for k in range(100)]
    assert max(mask.numel() for mask in masks) <= 1000
    assert np.mean([mask.double().mean() for mask in masks]) > 0.97
    assert np.mean([mask.numel() for mask in masks]) > 900


def test_budget_and_key_are_checked(small: CathDomains) -> None:
    with pytest.raises(FewstepError, match="longest"):
        TokenBatches(small, int(small.lengths.max()) - 1)
    with pytest.raises(FewstepError, match="negative"):
        TokenBatches(small, 100, seed=-1)
    with pytest.raises(FewstepError, match="negative"):
        TokenBatches(small, 100).batch(-1)
