"""Contract: scores are TM-align's whichever way it runs; diversity and novelty say what they saw.

Left-out pairs and shortlists show in the result or in its name; a broken sample has no score.
"""

import math
import shutil
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.protein.metrics import similarity
from domains.protein.metrics.decoys import build, globule, mirrored, noised
from domains.protein.metrics.similarity import (
    cluster_share,
    contact_map,
    diversity,
    engine,
    mean_tm,
    novelty,
    novelty_column,
    overlap,
    pairwise_tm,
    shortlist_of,
    tm_align,
)
from domains.protein.metrics.superpose import tm_score

needs_tm_align = pytest.mark.skipif(
    find_spec("tmtools") is None and shutil.which("TMalign") is None,
    reason="neither tmtools nor TMalign is installed",
)


def fold(seed: int, length: int = 40) -> np.ndarray:
    return globule(length, np.random.default_rng(seed))


def near(chain: np.ndarray, seed: int = 0) -> np.ndarray:
    return noised(chain, 0.03, np.random.default_rng(seed))


@pytest.fixture
def without_tmtools(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(similarity, "version", missing)
    return monkeypatch


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
    program(tmp_path, f"test -s $1 && test -s $2 && cat <<'END'\n{PRINTED[release]}\nEND")
    without_tmtools.setenv("PATH", str(tmp_path), prepend=":")
    assert engine() == "TMalign"
    assert tm_align(fold(0), fold(1, 30)) == 0.41
    assert tm_align(fold(0), fold(1, 30), "max") == 0.52


def test_a_failing_program_gives_no_score(without_tmtools, tmp_path: Path) -> None:
    program(tmp_path, "echo 'bad PDB' >&2; exit 1")
    without_tmtools.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(FewstepError, match="bad PDB"):
        tm_align(fold(0), fold(1))


@pytest.mark.skipif(
    find_spec("tmtools") is None or shutil.which("TMalign") is None, reason="needs both"
)
def test_package_and_program_agree(without_tmtools) -> None:
    a, b = fold(0, 60), near(fold(0, 60))
    by_program = tm_align(a, b)
    without_tmtools.undo()
    assert by_program == pytest.approx(tm_align(a, b), abs=0.01)


@needs_tm_align
def test_pairs_within_one_length_only() -> None:
    samples = [fold(0), near(fold(0)), fold(1), fold(2, 30)]
    tm = pairwise_tm(samples).tm
    np.testing.assert_array_equal(tm, tm.T)
    assert np.isnan(tm[3, :3]).all()
    assert not np.isnan(tm[:3, :3]).any()
    assert not np.isnan(pairwise_tm(samples, same_length=False).tm).any()


@needs_tm_align
def test_diversity_of_two_folds_in_four_samples() -> None:
    samples = [fold(0), near(fold(0)), fold(1), near(fold(1))]
    found = diversity(samples)
    assert found["pairs"] == 6
    assert found["clusters"] == 2
    assert found["cluster_share"] == 0.5
    assert found["pairwise_tm"] == pytest.approx(mean_tm(pairwise_tm(samples).tm))


@needs_tm_align
def test_left_out_pairs_leave_the_clusters_undefined() -> None:
    samples = [fold(seed) for seed in range(4)]
    found = diversity(samples, max_pairs=3, seed=1)
    assert found["pairs"] == 3
    assert math.isnan(found["clusters"])
    assert math.isnan(found["cluster_share"])
    first, again = (pairwise_tm(samples, max_pairs=3, seed=1).tm for _ in range(2))
    np.testing.assert_array_equal(first, again)
    drawn = {np.isnan(pairwise_tm(samples, 3, seed).tm).tobytes() for seed in range(8)}
    assert len(drawn) > 1


def test_single_linkage_joins_through_a_third() -> None:
    tm = np.array([[1, 0.6, 0.1, 0.1], [0.6, 1, 0.6, 0.1], [0.1, 0.6, 1, 0.1], [0.1, 0.1, 0.1, 1]])
    assert cluster_share(tm) == 0.5
    assert cluster_share(tm, threshold=0.7) == 1.0
    tm[tm == 0.6] = np.nan
    assert cluster_share(tm) == 1.0


def test_repeated_samples_are_no_pairs() -> None:
    tm = np.array([[1.0, 0.2, 0.8], [0.2, 1.0, np.nan], [0.8, np.nan, 1.0]])
    assert mean_tm(tm) == pytest.approx(0.5)
    assert mean_tm(tm, np.array([0, 0, 1])) == pytest.approx(0.2)
    assert math.isnan(mean_tm(tm, np.array([2, 2, 2])))
    assert cluster_share(tm, np.array([0, 0, 2])) == 0.5


@needs_tm_align
def test_novelty_finds_the_reference_it_came_from() -> None:
    references = [fold(seed) for seed in range(6)] + [fold(9, 60)]
    samples = [near(references[4]), near(references[6], 1), fold(50)]
    for shortlist in (None, 2):
        best, nearest = novelty(samples, references, shortlist)
        assert nearest[:2].tolist() == [4, 6]
        assert (best[:2] > 0.9).all()
        assert best[2] < 0.6


@needs_tm_align
def test_a_shortlist_is_never_above_the_whole_search() -> None:
    references, samples = [fold(seed) for seed in range(12)], [fold(20), fold(21)]
    short, whole = novelty(samples, references, 3)[0], novelty(samples, references, None)[0]
    assert (short <= whole + 1e-12).all()
    assert novelty_column(3) == "novelty_tm_shortlist3"
    assert novelty_column(None) == "novelty_tm"


@needs_tm_align
def test_a_broken_sample_has_no_novelty_and_no_pairs() -> None:
    broken = fold(0)
    broken[1] = np.nan
    best, nearest = novelty([broken, fold(1)], [fold(1), fold(2)], None)
    assert math.isnan(best[0])
    assert nearest.tolist() == [-1, 0]
    with pytest.raises(FewstepError, match="not finite"):
        pairwise_tm([broken, fold(1)])
    with pytest.raises(FewstepError, match="not finite"):
        novelty([fold(1)], [broken])
    with pytest.raises(FewstepError, match="no references"):
        novelty([fold(1)], [])


def test_the_contact_map_ignores_motion() -> None:
    chain = fold(0, 80)
    np.testing.assert_allclose(contact_map(chain), contact_map(chain[:, [1, 2, 0]] + 3.0))


def test_maps_overlap_wherever_the_query_lies_in_the_other() -> None:
    whole = fold(0, 90)
    part, apart = contact_map(whole[30:60]), contact_map(fold(1, 30))
    assert overlap(part, part) == pytest.approx(1.0)
    assert overlap(part, contact_map(whole)) > 0.9
    assert overlap(apart, contact_map(whole)) < 0.8
    # A reference below half of the query can't explain it.
    assert overlap(contact_map(whole), contact_map(whole[:30])) == 0.0


def test_the_shortlist_puts_the_same_fold_first() -> None:
    maps = [contact_map(fold(seed, 60)) for seed in range(8)]
    for seed in range(8):
        found = shortlist_of(near(fold(seed, 60)), maps, 3)
        assert found[0] == seed
        assert len(set(found.tolist())) == 3


@needs_tm_align
def test_processes_change_nothing() -> None:
    samples = [fold(seed, 20) for seed in range(3)]
    one, two = pairwise_tm(samples), pairwise_tm(samples, workers=2)
    np.testing.assert_array_equal(one.tm, two.tm)
