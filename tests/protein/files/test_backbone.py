"""Contract: backbones are rebuilt near where natives have them, and broken chains are refused."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from biotite.structure import distance
from biotite.structure.io.pdb import PDBFile

from domains.batch import Sample
from domains.errors import FewstepError
from domains.files.given import given_files
from domains.protein.files.backbone import rebuild_backbone, write_backbone
from domains.protein.files.samples import write_sample
from domains.protein.files.structure import read_ca

needs_pulchra = pytest.mark.skipif(
    importlib.util.find_spec("pypulchra") is None, reason="pip install pypulchra"
)


def helix(residues: int = 20) -> np.ndarray:
    """Cα of an ideal α-helix, nm: radius .23, 100° and .15 a residue."""
    turn = np.deg2rad(100) * np.arange(residues)
    return np.stack([0.23 * np.cos(turn), 0.23 * np.sin(turn), 0.15 * np.arange(residues)], 1)


@needs_pulchra
def test_a_helix_gets_the_bonds_of_a_peptide_and_keeps_its_ca() -> None:
    trace = helix()
    backbone = rebuild_backbone(trace)
    assert backbone.shape == (20, 4, 3)
    np.testing.assert_array_equal(backbone[:, 1], trace)
    n, ca, c, o = np.moveaxis(backbone[1:-1], 1, 0) * 10
    for one, other, length in ((n, ca, 1.46), (ca, c, 1.53), (c, o, 1.23), (c[:-1], n[1:], 1.33)):
        np.testing.assert_allclose(distance(one, other), length, atol=0.15)
    # The hydrogen bonds of an α-helix: O of a residue to N of the fourth after it.
    bonds = distance(backbone[2:-6, 3], backbone[6:-2, 0]) * 10
    assert np.median(bonds) == pytest.approx(2.9, abs=0.4)


@needs_pulchra
def test_the_file_is_read_by_others_and_by_us(tmp_path: Path) -> None:
    path = tmp_path / "chain.pdb"
    write_backbone(path, helix())
    atoms = PDBFile.read(path).get_structure(model=1)
    assert list(atoms.get_annotation("atom_name")[:4]) == ["N", "CA", "C", "O"]
    assert list(atoms.get_annotation("element")[:4]) == ["N", "C", "C", "O"]
    assert list(atoms.get_annotation("res_id")[::4]) == list(range(1, 21))
    np.testing.assert_allclose(read_ca(path), helix(), atol=1e-4)
    assert "PULCHRA" in path.read_text().splitlines()[0]


@needs_pulchra
def test_a_broken_chain_stays_without_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trace = helix()
    trace[10:] += 1
    with pytest.raises(FewstepError, match="broken"):
        rebuild_backbone(trace)
    sample = Sample("torn", torch.from_numpy(trace).float())
    assert write_sample(sample, tmp_path, ("backbone",)) == ["torn.pdb"]
    assert "torn: the chain is broken" in caplog.text
    whole = Sample("whole", torch.from_numpy(helix()).float())
    assert write_sample(whole, tmp_path, ("backbone",)) == ["whole.pdb", "backbone/whole.pdb"]
    # A directory's own files are samples: a chain must not count twice.
    assert [path.name for path in given_files(str(tmp_path))] == ["torn.pdb", "whole.pdb"]


@needs_pulchra
@pytest.mark.parametrize("length", [5, 30])
def test_a_straight_line_is_refused_in_one_line(length: int) -> None:
    line = 0.38 * np.arange(length)[:, None] * np.array([[1.0, 0, 0]])
    with pytest.raises(FewstepError, match="PULCHRA"):
        rebuild_backbone(line)


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FewstepError, match="pip install pypulchra"):
        rebuild_backbone(helix())
