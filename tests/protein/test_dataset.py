"""Contract: packing loses nothing, and a training batch is a pure function of its key.

A packed set gives back the integer coordinates it was made from; the set in the repository is
protein-like and split by superfamily. A batch holds whole domains, centred and rigidly rotated,
within its budget; every domain comes once per epoch; a resumed run draws the same batches.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from domains.errors import FewstepError
from domains.protein.dataset import (
    PACKED,
    SPLITS,
    CathDomains,
    TokenBatches,
    load_domains,
    sample_lengths,
    save_domains,
)


def built(lengths: list[int]) -> dict[str, np.ndarray]:
    """Return random chains with steps of both signs, as the builder would."""
    stream = np.random.default_rng(7)
    residues = sum(lengths)
    steps = stream.integers(-420, 421, (residues, 3))
    return {
        "positions": (20000 + np.cumsum(steps, axis=0)).astype(np.int32),
        "lengths": np.array(lengths, dtype=np.int32),
        "ids": np.array([f"1ab{k:02d}A00" for k in range(len(lengths))]),
        "cath": np.array([f"1.10.{k}.10" for k in range(len(lengths))]),
        "split": np.array([k % 3 for k in range(len(lengths))], dtype=np.int8),
        "sequences": np.array("".join(chr(65 + k % 26) for k in range(residues))),
    }


@pytest.fixture(scope="module")
def packed() -> CathDomains:
    return load_domains()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> CathDomains:
    path = tmp_path_factory.mktemp("small") / "small.npz"
    lengths = np.random.default_rng(1).integers(5, 30, 101).tolist()
    save_domains(path, built(lengths))
    return load_domains(path)


def test_packing_is_exactly_invertible(tmp_path: Path) -> None:
    arrays = built([5, 1, 9, 40])
    save_domains(tmp_path / "set.npz", arrays)
    domains = load_domains(tmp_path / "set.npz")
    begin = 0
    for k, n in enumerate([5, 1, 9, 40]):
        source = arrays["positions"][begin : begin + n]
        points = domains.points(k)
        assert points.dtype == np.float32
        np.testing.assert_array_equal(
            np.round((points.astype(float) - points[0]) * 1000), source - source[0]
        )
        np.testing.assert_allclose(points, (source - source.mean(0)) / 1000, atol=1e-6)
        assert domains.sequences[k] == str(arrays["sequences"])[begin : begin + n]
        begin += n
    assert domains.ids == tuple(arrays["ids"])
    assert domains.cath == tuple(arrays["cath"])
    assert domains.split.tolist() == arrays["split"].tolist()


def test_packed_set_is_protein_like(packed: CathDomains) -> None:
    steps = np.linalg.norm(np.diff(packed.coordinates, axis=0), axis=1)
    inside = np.ones(len(steps), dtype=bool)
    inside[packed.offsets[1:] - 1] = False
    assert steps[inside].min() > 0.26  # nm; a cis peptide is about 0.29
    assert steps[inside].max() < 0.42
    assert np.mean((steps[inside] > 0.36) & (steps[inside] < 0.40)) > 0.99
    centres = np.add.reduceat(packed.coordinates, packed.offsets, axis=0)
    assert np.abs(centres / packed.lengths[:, None]).max() < 1e-5
    assert set("".join(packed.sequences)) == set("ACDEFGHIKLMNPQRSTVWY")
    assert all(len(code.split(".")) == 4 for code in packed.cath)
    assert PACKED.stat().st_size < 5_000_000


def test_helices_are_right_handed(packed: CathDomains) -> None:
    """A mirrored set would pass every check of distances."""
    signs = []
    for k in [i for i, code in enumerate(packed.cath) if code.startswith("1.")][:200]:
        steps = np.diff(packed.points(k), axis=0)
        signs.extend(np.einsum("ij,ij->i", np.cross(steps[:-2], steps[1:-1]), steps[2:]))
    assert np.mean(np.array(signs) > 0) > 0.7


def test_superfamilies_are_not_shared_between_splits(packed: CathDomains) -> None:
    families = [set(packed.subset(split).cath) for split in SPLITS]
    assert all(families)
    assert sum(map(len, families)) == len(set(packed.cath))


def test_subset_keeps_what_was_asked(packed: CathDomains) -> None:
    chosen = packed.subset("val", 50, 60)
    kept = [k for k in range(len(packed)) if packed.split[k] == 1 and 50 <= packed.lengths[k] <= 60]
    assert chosen.ids == tuple(packed.ids[k] for k in kept)
    for i, k in enumerate(kept):
        np.testing.assert_array_equal(chosen.points(i), packed.points(k))
        assert chosen.cath[i] == packed.cath[k]
        assert len(chosen.sequences[i]) == chosen.lengths[i]


@pytest.mark.parametrize("asked", [("val", 5000, None), ("train", 60, 50), ("nowhere", 1, None)])
def test_empty_or_unknown_subset_is_refused(
    packed: CathDomains, asked: tuple[str, int, int | None]
) -> None:
    with pytest.raises(FewstepError):
        packed.subset(*asked)


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


def test_sampled_lengths_follow_the_key_and_the_source() -> None:
    drawn = sample_lengths(1, 2, 4000, [50, 50, 50, 60])
    assert np.array_equal(drawn, sample_lengths(1, 2, 4000, [50, 50, 50, 60]))
    assert not np.array_equal(drawn, sample_lengths(1, 3, 4000, [50, 50, 50, 60]))
    assert set(drawn.tolist()) == {50, 60}
    assert abs(np.mean(drawn == 50) - 0.75) < 0.03
    with pytest.raises(FewstepError):
        sample_lengths(1, 2, 3, [])


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    content = bytearray(PACKED.read_bytes())
    path = tmp_path / "set.npz"
    for damaged in (b"", b"no zip", bytes(content[:1000]), bytes(content[:-500])):
        path.write_bytes(damaged)
        with pytest.raises(FewstepError):
            load_domains(path)
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FewstepError):
        load_domains(path)
    with pytest.raises(FewstepError):
        load_domains(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"split": np.array([0, 1, 3], dtype=np.int8)},
        {"split": np.array([0, 1], dtype=np.int8)},
        {"lengths": np.array([4, 5, 7], dtype=np.int32)},
        {"lengths": np.array([0, 9, 6], dtype=np.int32)},
        {"lengths": np.array([4.0, 5.0, 6.0])},
        {"ids": np.array([b"a", b"a", b"c"])},
        {"ids": np.array([b"a", {}, b"c"], dtype=object)},
        {"steps_low": np.zeros((3, 14), dtype=np.uint8)},
        {"more": np.zeros(3)},
        {"cath": None},
    ],
)
def test_set_that_does_not_fit_together_is_refused(
    tmp_path: Path, change: dict[str, np.ndarray | None]
) -> None:
    path = tmp_path / "set.npz"
    save_domains(path, built([4, 5, 6]))
    with np.load(path, allow_pickle=False) as archive:
        arrays = {**archive, **change}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(FewstepError):
        load_domains(path)
