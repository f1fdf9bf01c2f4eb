"""Contract: Foldseek is called as published, believed only where it makes sense, and traceless.

A stand-in program checks what it is asked, and takes chains of one length for one fold. Where
the real one is installed it runs too.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from protein.metrics.folds import fold, near
from protein.metrics.foldseek_stand_in import CLUSTER, SEARCH, database, stand_in

from domains.batch import Sample
from domains.errors import FewstepError
from domains.evaluation.statistics.measured import Measured
from domains.protein.data.dataset import load_domains
from domains.protein.evaluation import measure
from domains.protein.metrics.similarity.foldseek import Foldseek, chosen, find_foldseek
from domains.protein.settings import ProteinEvaluate

Install = Callable[..., Foldseek]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look whether a test leaves temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: None) -> Install:
    """Return a function that puts a stand-in on the PATH; ``damage`` changes what it says."""

    def put(damage: str = "", version: str = "10.941cd33") -> Foldseek:
        folder = tmp_path / "bin"
        stand_in(folder, damage, version)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return find_foldseek()

    return put


# What it measures


def test_clusters_of_two_folds_in_four_samples(install: Install) -> None:
    samples = [fold(0, 40), fold(1, 30), fold(2, 40), fold(3, 40)]
    assert install().clusters(samples).tolist() == [0, 1, 0, 0]


def test_the_nearest_entry_of_a_database(install: Install, tmp_path: Path) -> None:
    broken = fold(0)
    broken[1] = np.nan
    known = database(tmp_path, short=20, long_A=50)
    best, names = install().search([fold(0, 40), broken, fold(1, 20)], known)
    np.testing.assert_array_equal(best, [0.8, np.nan, 1.0])
    assert names == ["long_A", "", "short"]


def test_the_nearest_of_given_chains(install: Install) -> None:
    references = [fold(0, 24), fold(1, 40), fold(2, 30)]
    best, nearest = install().novelty([fold(3, 30), fold(4, 39)], references)
    assert nearest.tolist() == [2, 1]
    assert best.tolist() == [1.0, 0.975]


def test_batches_change_nothing(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = database(tmp_path, a=20, b=30)
    samples = [fold(k, length) for k, length in enumerate((22, 29, 31, 19, 26))]
    whole = install().search(samples, known)
    monkeypatch.setattr("domains.protein.metrics.similarity.foldseek._BATCH", 2)
    best, names = install().search(samples, known)
    np.testing.assert_array_equal(best, whole[0])
    assert names == whole[1]


def test_a_sample_without_a_hit_has_no_score(install: Install, tmp_path: Path) -> None:
    lines = "line for line in text.splitlines(True) if not line.startswith('s0000000')"
    foldseek = install(f"text = ''.join({lines})")
    best, names = foldseek.search([fold(0), fold(1)], database(tmp_path, a=40))
    np.testing.assert_array_equal(best, [np.nan, 1.0])
    assert names == ["", "a"]


# Which program


def test_it_is_found_by_its_path(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = install()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    settings = ProteinEvaluate(similarity="foldseek", foldseek_program=known.program)
    assert chosen(settings) == known == Foldseek(str(tmp_path / "bin/foldseek"), "10.941cd33")
    assert chosen(ProteinEvaluate()) is None


@pytest.mark.parametrize("version", ["10-941cd33", "11.0123abc", "941cd33d" + 32 * "0"])
def test_releases_from_10_are_taken(install: Install, version: str) -> None:
    assert install(version=version).version == version


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("9.427df8a", "is older than release 10"),
        ("1.3c64211", "is older than release 10"),
        ("427df8a6b5d0ef78bee0f98cd3e6faaca18f172d", "names a commit"),
        ("10", "names a commit"),
        ("", "doesn't say its version"),
    ],
)
def test_other_versions_are_refused_and_it_says_why(
    install: Install, version: str, words: str
) -> None:
    with pytest.raises(FewstepError, match=words) as error:
        install(version=version)
    assert "conda install" in str(error.value)
    assert not version or "alntmscore is divided by a wrong length" in str(error.value)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FewstepError, match="on the PATH: expected release 10-941cd33 or later"):
        find_foldseek()
    with pytest.raises(FewstepError, match="no program foldseek at nowhere/foldseek"):
        find_foldseek("nowhere/foldseek")
    (tmp_path / "foldseek").write_bytes(b"\x7fELF")
    (tmp_path / "foldseek").chmod(0o755)
    with pytest.raises(FewstepError, match="doesn't run"):
        find_foldseek()


# What isn't believed


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("print('no space', file=sys.stderr); sys.exit(3)", "exit code 3: no space"),
        ("sys.exit(0)", "can't read foldseek's found"),
        ("text = text.replace('\\t', ' ')", "columns"),
        ("text = text.replace('s0000000', 's0000009')", "wasn't given"),
        ("text = text.replace('s0000000', 'x')", "wasn't given"),
        ("Path(output).write_bytes(b'\\xff\\n'); sys.exit(0)", "can't read foldseek's found"),
        ("text = ''", "left out samples|aligned no sample"),
    ],
)
def test_failures_are_one_line(install: Install, tmp_path: Path, damage: str, words: str) -> None:
    foldseek, samples = install(damage), [fold(0), fold(1)]
    with pytest.raises(FewstepError, match=words):
        foldseek.clusters(samples)
    with pytest.raises(FewstepError, match=words):
        foldseek.search(samples, database(tmp_path, a=40))


@pytest.mark.parametrize("damage", ["text += text", "text = text.splitlines()[0] + '\\n'"])
def test_each_sample_is_in_one_cluster(install: Install, damage: str) -> None:
    with pytest.raises(FewstepError, match="left out samples, or put them into several"):
        install(damage).clusters([fold(0), fold(1)])


@pytest.mark.parametrize("score", ["nan", "-0.1", "7", "much"])
def test_a_score_is_a_score(install: Install, tmp_path: Path, score: str) -> None:
    damage = f"text = text.replace('1.000E+00', {score!r})"
    with pytest.raises(FewstepError, match="no TM-score"):
        install(damage).search([fold(0)], database(tmp_path, a=40))


def test_a_database_is_there(install: Install, tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match=r"no Foldseek database.*foldseek databases PDB"):
        install().search([fold(0)], tmp_path / "nothing")


def test_broken_chains_are_refused(install: Install) -> None:
    with pytest.raises(FewstepError, match="not finite"):
        install().clusters([fold(0), np.full((40, 3), np.nan)])


# In an evaluation


def measured(folder: Path, **settings: object) -> Measured:
    """Measure two test domains, which are asked to be what they are."""
    known = load_domains().subset("test", 50, 54)
    samples = [
        Sample("../ $(x)", torch.from_numpy(known.points(k).copy()), {"cath_code": [known.cath[k]]})
        for k in range(2)
    ]
    config = ProteinEvaluate.model_validate({"proxy": False, "similarity": "foldseek", **settings})
    return measure(samples, config, 0, None)


def test_columns_keep_their_names_and_name_the_tool(install: Install, tmp_path: Path) -> None:
    install()
    found = measured(tmp_path)
    of_set = {one.name: one for one in found.of_set}
    assert "pairwise_tm" not in of_set
    assert of_set["cluster_share"].tool == f"foldseek 10.941cd33 easy-cluster {CLUSTER}"
    assert of_set["cluster_share"].interval.value in (0.5, 1.0)
    assert (found.samples["novelty_tm"] == 1).all()
    assert found.tools["novelty_tm"].startswith(f"foldseek 10.941cd33 easy-search {SEARCH}, ")
    assert found.tools["novelty_tm"].endswith("training domains")
    assert found.tools["asked_fold"] == found.tools["novelty_tm"]


def test_a_database_takes_the_place_of_training_domains(install: Install, tmp_path: Path) -> None:
    install()
    known = database(tmp_path, a=100)
    found = measured(tmp_path, novelty_database=str(known))
    assert found.samples["novelty_tm"].between(0.5, 0.54).all()
    assert found.tools["novelty_tm"].endswith(", database known")
    assert found.tools["asked_fold"].endswith("training domains")
    assert list(found.metrics).count("novelty_tm") == 1
    only = measured(tmp_path, novelty_database=str(known), novelty_shortlist=0, diversity=False)
    assert "novelty_tm" in only.metrics and "asked_fold" not in only.metrics


def test_a_missing_program_is_said_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("domains.protein.evaluation.geometry.describe", None)
    with pytest.raises(FewstepError, match="no program foldseek on the PATH"):
        measured(tmp_path)


def test_settings_of_foldseek_need_it(tmp_path: Path) -> None:
    for key in ("foldseek_program", "novelty_database"):
        with pytest.raises(ValueError, match="need similarity: foldseek"):
            ProteinEvaluate.model_validate({key: "x"})
    settings = ProteinEvaluate(similarity="foldseek", novelty_database="data/pdb")
    assert settings.files == ["data/pdb.dbtype"]


# The real one


def real() -> Foldseek | None:
    try:
        return find_foldseek() if shutil.which("foldseek") else None
    except FewstepError:
        return None


@pytest.mark.skipif(real() is None, reason="Foldseek 10 is not installed")
def test_the_real_program_knows_copies(temporary: None) -> None:
    foldseek = real()
    assert foldseek
    known = load_domains().subset("test", 80, 120)
    natives = [np.array(known.points(k), dtype=float) for k in range(6)]
    samples = [near(natives[0]), near(natives[1]), near(natives[0], 1)]
    groups = foldseek.clusters(samples)
    assert groups[0] == groups[2] != groups[1]
    best, nearest = foldseek.novelty(samples, natives)
    assert nearest.tolist() == [0, 1, 0]
    assert (best > 0.9).all()
