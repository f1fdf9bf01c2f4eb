"""Contract: scores are TM-align's whichever way it runs, and say whose length they go by."""

import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from protein.metrics.folds import fold, near, needs_tm_align

from domains.errors import FewstepError
from domains.protein.files.structure import read_ca
from domains.protein.metrics.geometry.decoys import build, mirrored
from domains.protein.metrics.similarity import tm_align as module
from domains.protein.metrics.similarity.superpose import tm_score
from domains.protein.metrics.similarity.tm_align import engine, tm_align


@pytest.fixture
def without_tmtools(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", missing)
    module._package.cache_clear()
    yield monkeypatch
    module._package.cache_clear()


@needs_tm_align
def test_a_chain_is_like_itself_and_like_its_moved_copy() -> None:
    chain = fold(0)
    assert tm_align(chain, chain[:, [1, 2, 0]] + 4.0) == pytest.approx(1.0, abs=1e-4)
    assert tm_align(chain, fold(1)) < 0.5
    assert tm_align(chain, near(chain)) > 0.9


@needs_tm_align
def test_the_alignment_search_beats_the_identity_alignment() -> None:
    for seed in range(3):
        a, b = fold(seed), fold(seed + 10)
        assert tm_align(a, b) >= tm_score(a, b) - 0.01


@needs_tm_align
def test_a_mirror_image_is_another_fold() -> None:
    angles = np.full(38, 91.0)
    torsions = np.concatenate([np.full(16, 50.0), [-120.0, 80.0, 150.0], np.full(18, 50.0)])
    chain = build(angles, torsions)
    assert tm_align(chain, mirrored(chain)) < 0.6


@needs_tm_align
def test_normalisation_says_whose_length() -> None:
    whole = fold(2, length=80)
    part = whole[:40]
    by_part, by_whole = tm_align(part, whole), tm_align(whole, part)
    assert by_part == pytest.approx(1.0, abs=1e-4)
    assert by_whole < 0.6
    assert tm_align(part, whole, "max") == pytest.approx(by_part)
    assert tm_align(part, whole, "min") == pytest.approx(by_whole, abs=0.01)
    assert tm_align(part, whole, "mean") == pytest.approx((by_part + by_whole) / 2, abs=0.01)


def test_without_tm_align_the_error_says_what_to_install(without_tmtools) -> None:
    without_tmtools.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FewstepError, match=r"pip install tmtools.*apt-get install tm-align"):
        tm_align(fold(0), fold(1))


def test_the_version_is_read_once(without_tmtools) -> None:
    """Not for every pair: reading it takes .2 ms."""
    asked: list[str] = []
    without_tmtools.setattr(module, "version", lambda name: asked.append(name) or "9.9")
    assert engine() == engine() == "tmtools 9.9" and asked == ["tmtools"]


PRINTED = {
    "2019": """Length of Chain_1:   40 residues
TM-score= 0.41000 (if normalized by length of Chain_1)
TM-score= 0.52000 (if normalized by length of Chain_2)""",
    "2022": """Aligned length= 30, RMSD= 2.10
TM-score= 0.41000 (normalized by length of Structure_1: L=40, d0=1.83)
TM-score= 0.52000 (normalized by length of Structure_2: L=30, d0=1.26)""",
}


def program(folder: Path, script: str) -> None:
    path = folder / "TMalign"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("release", PRINTED)
def test_the_program_is_used_without_tmtools(without_tmtools, tmp_path, release) -> None:
    said = f"echo 'TM-align (Version {release}0822)'"
    program(
        tmp_path,
        f"test $# = 0 && {said} && exit\n"
        f"test -s $1 && test -s $2 && cat <<'END'\n{PRINTED[release]}\nEND",
    )
    without_tmtools.setenv("PATH", str(tmp_path), prepend=":")
    assert engine() == f"TMalign {release}0822"
    assert tm_align(fold(0), fold(1, 30)) == 0.41
    assert tm_align(fold(0), fold(1, 30), "max") == 0.52


def test_a_failing_program_gives_no_score(without_tmtools, tmp_path: Path) -> None:
    program(tmp_path, "echo 'bad PDB' >&2; exit 1")
    without_tmtools.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(FewstepError, match="bad PDB"):
        tm_align(fold(0), fold(1))


def given_to_program(monkeypatch: pytest.MonkeyPatch, folder: Path, chain: np.ndarray) -> Path:
    """The file that the program reads for a chain."""
    kept = folder / "kept.pdb"
    printed = f"cat <<'END'\n{PRINTED['2019']}\nEND"
    program(folder, f"test $# = 0 && exit\ncp $1 {kept}\n{printed}")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    tm_align(chain, fold(1))
    return kept


def test_the_program_reads_a_centred_chain(without_tmtools, tmp_path: Path) -> None:
    chain = fold(0) + np.array([500.0, -700.0, 0.0])
    kept = given_to_program(without_tmtools, tmp_path, chain)
    expected = fold(0) - fold(0).mean(0)
    np.testing.assert_allclose(read_ca(kept), expected, atol=6e-5, rtol=0)
    atoms = [line for line in kept.read_text().splitlines() if line.startswith("ATOM")]
    assert atoms[0][12:26] == " CA  ALA A   1"
    columns = [[float(line[i : i + 8]) for i in (30, 38, 46)] for line in atoms]
    np.testing.assert_array_equal(columns, np.round(10 * (chain - chain.mean(0)), 3))


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_wide_chain_stays_within_the_columns(without_tmtools, tmp_path: Path, side) -> None:
    chain = fold(0)
    chain[0, 0] += side * 190.0
    kept = given_to_program(without_tmtools, tmp_path, chain)
    found, middle = read_ca(kept), (chain.min(0) + chain.max(0)) / 2
    np.testing.assert_allclose(found, chain - middle, atol=6e-5, rtol=0)


@pytest.mark.parametrize("chain", [fold(0) * 1000.0, np.zeros((10_000, 3))], ids=["wide", "long"])
def test_what_no_pdb_file_holds_is_refused(without_tmtools, tmp_path: Path, chain) -> None:
    with pytest.raises(FewstepError, match=r"written|PDB file") as raised:
        given_to_program(without_tmtools, tmp_path, chain)
    assert len(str(raised.value).splitlines()) == 1 and not (tmp_path / "kept.pdb").exists()


@pytest.mark.skipif(
    find_spec("tmtools") is None or shutil.which("TMalign") is None, reason="needs both"
)
def test_package_and_program_agree(without_tmtools) -> None:
    a, b = fold(0, 60), near(fold(0, 60))
    by_program = tm_align(a, b)
    without_tmtools.undo()
    assert by_program == pytest.approx(tm_align(a, b), abs=0.01)
