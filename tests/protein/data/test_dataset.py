"""Contract: packing loses nothing, and the packed set is protein-like.

A packed set gives back the integer coordinates it was made from; the set in the repository is
split by superfamily; a damaged set is refused.
"""

from pathlib import Path

import numpy as np
import pytest
from protein.packed_sets import built

from domains.errors import FewstepError
from domains.protein.data.dataset import PACKED, SPLITS, CathDomains, load_domains, save_domains


@pytest.fixture(scope="module")
def packed() -> CathDomains:
    return load_domains()


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
