"""Contract: in Python, bundled students sample and complete arrays as their commands do files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fewstep
from domains.errors import FewstepError
from domains.field import load_field
from domains.stages.sample import sample
from domains.stages.students import whole


@pytest.fixture(scope="module")
def proteins() -> fewstep.ProteinStudent:
    return fewstep.ProteinStudent()


def test_chains_are_those_of_the_command(proteins: fewstep.ProteinStudent, tmp_path: Path) -> None:
    chains = proteins.sample(length=24, number=2, seed=3)
    assert chains.shape == (2, 24, 3) and chains.dtype == np.float32
    steps = np.linalg.norm(np.diff(chains, axis=1), axis=-1)
    assert np.median(steps) == pytest.approx(3.8, abs=0.1)  # ångström
    sample(tmp_path, length=24, number=2, seed=3)
    read = load_field("protein").read
    written = [read(path).points.numpy() * 10 for path in sorted(tmp_path.glob("*.pdb"))]
    np.testing.assert_allclose(chains, np.stack(written), atol=2e-3)


def test_more_chains_begin_with_fewer(proteins: fewstep.ProteinStudent) -> None:
    one, two = (proteins.sample(length=24, number=k, seed=3) for k in (1, 2))
    # Batches round differently, and eight calls enlarge that (docs/explanation/reliability.md).
    np.testing.assert_allclose(two[:1], one, atol=0.5)
    assert np.abs(two[1] - one[0]).max() > 5


def test_chains_are_biotite_structures(proteins: fewstep.ProteinStudent) -> None:
    models = proteins.structures(length=24, number=2, seed=3)
    assert (models.stack_depth(), models.array_length()) == (2, 24)
    assert set(models.get_annotation("atom_name")) == {"CA"}
    np.testing.assert_array_equal(models.coord, proteins.sample(length=24, number=2, seed=3))


def test_rebuilt_backbones_have_four_atoms(proteins: fewstep.ProteinStudent) -> None:
    pytest.importorskip("pypulchra")
    models = proteins.structures(length=24, number=1, seed=3, backbone=True)
    assert list(models.get_annotation("atom_name")[:4]) == ["N", "CA", "C", "O"]
    assert models.array_length() == 4 * 24


def test_scans_are_completed() -> None:
    pytest.importorskip("open3d")
    rng = np.random.default_rng(0)
    wall = rng.uniform([8, -6, -1.5, 0], [8.05, 6, 2, 1], (4000, 4))  # x y z intensity
    student = fewstep.SceneStudent()
    scene = student.complete(wall)
    assert scene.ndim == 2 and scene.shape[1] == 3 and scene.dtype == np.float32
    assert np.linalg.norm(scene, axis=1).max() < student.radius + 2
    assert np.median(np.abs(scene[:, 0] - 8)) < 1
    assert not np.array_equal(scene, student.complete(wall, seed=1))


@pytest.mark.parametrize("length", ["30", None, [30, 40], 30.5])
def test_what_is_no_integer_is_refused_in_one_line(length: Any) -> None:
    with pytest.raises(FewstepError, match="bad length: expected an integer"):
        whole("length", length)


def test_numbers_of_numpy_are_numbers(proteins: fewstep.ProteinStudent) -> None:
    assert proteins.sample(np.int64(24), np.int32(1), np.uint8(3)).shape == (1, 24, 3)


ONE_PLACE = np.tile([[8.0, 1.0, 0.5]], (500, 1))
BAD = [np.zeros((4, 2)), np.full((4, 3), np.nan), np.zeros((4, 3)), ONE_PLACE]


@pytest.mark.parametrize("scan", BAD)
def test_bad_scans_are_refused_in_one_line(scan: Any) -> None:
    pytest.importorskip("open3d")
    with pytest.raises(FewstepError, match=r"bad scan|no points"):
        fewstep.SceneStudent().complete(scan)


def test_a_teacher_is_no_student() -> None:
    with pytest.raises(fewstep.FewstepError, match="no student"):
        fewstep.ProteinStudent("proteina-small")
