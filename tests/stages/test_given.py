"""Contract: structures and clouds of any program are a set; what is none is listed, and counted.

``score`` makes a table and a report of them in one line.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from protein.chains import native
from snakemake_run import planned
from tiny_run import content, write_config

from domains.config import parse_config
from domains.errors import FewstepError
from domains.files.given import distinct_names, given_files
from domains.lidar.field import FIELD as LIDAR
from domains.lidar.files import write_points
from domains.lidar.settings import LidarData, LidarGenerate
from domains.protein.field import FIELD as PROTEIN
from domains.protein.files.structure import read_ca, write_pdb
from domains.stages.evaluate import evaluate
from domains.stages.generate import generate
from domains.stages.score import score


def line(
    serial: int, name: str, residue: str, chain: str, number: str, point: np.ndarray, **more: str
) -> str:
    """One atom: ``number`` with its insertion code; ``more``: kind, altloc, occupancy."""
    x, y, z = 10 * point
    kind, mark, share = (
        more.get(key, default)
        for key, default in (("kind", "ATOM"), ("altloc", " "), ("occupancy", "1.00"))
    )
    code = number if number[-1].isalpha() else f"{number} "
    return (
        f"{kind:6}{serial:5} {name:^4}{mark}{residue:3} {chain}{code:>5}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{share:>6}  0.00           {name[0]}  "
    )


def write_complex(path: Path, points: np.ndarray, chain: str = "A") -> None:
    """A chain with all that a complex has beside plain residues, chain B, a ligand and a water."""
    lines = []
    for k, point in enumerate(points):
        # Residues 11 and 11A; residue 20 at two places, of which the second is likelier.
        number = "11A" if k == 11 else str(k + 1 if k < 11 else k)
        lines.append(line(len(lines), "N", "GLY", chain, number, point + 0.1))
        if k == 20:
            lines.append(
                line(0, "CA", "GLY", chain, number, point + 9, altloc="A", occupancy=".30")
            )
            lines.append(line(0, "CA", "GLY", chain, number, point, altloc="B", occupancy=".70"))
        elif k != 30:  # a residue without its Cα
            lines.append(line(len(lines), "CA", "GLY", chain, number, point))
    lines += [line(1, "CA", "GLY", "B", str(k), point + 2) for k, point in enumerate(points[:9])]
    lines.append(line(1, "CA", "CA", chain, "900", points[0] + 3, kind="HETATM"))
    lines.append(line(1, "O", "HOH", chain, "901", points[0] + 4, kind="HETATM"))
    path.write_text("\n".join(lines) + "\nEND\n")


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four structures that can be measured, in directories, and four files that can't."""
    monkeypatch.chdir(tmp_path)
    for k, place in enumerate(("a", "b", "b/c")):
        write_pdb(Path("theirs") / place / "model.pdb", native(k, 40, 44))
    write_complex(Path("theirs/b/complex.pdb"), native(5, 40, 44))
    Path("theirs/README.txt").write_text("Not a structure.")
    Path("theirs/cut.pdb").write_text("ATOM      1  CA")
    write_pdb(Path("theirs/short.pdb"), native(0, 40, 44)[:4])
    write_complex(Path("theirs/other_chains.pdb"), native(6, 40, 44), chain="C")
    Path("theirs/.hidden.pdb").write_text("")
    return tmp_path


def config(place: Path, **files: object) -> Path:
    theirs = {"files": "theirs/**/*.*", "chain": "A", **files}
    settings = {"sets": {"theirs": theirs}, "generate": {"shard_size": 3, "per_length": 50}}
    return write_config(place / "run.yaml", **settings)


def test_files_are_a_set_of_their_own_size(given: Path) -> None:
    path = config(given)
    for k in range(3):
        generate(path, "theirs", k, Path(f"samples/shard_000{k}"))
    with pytest.raises(FewstepError, match="no such shard: expected 0 to 2, got 3"):
        generate(path, "theirs", 3, Path("samples/shard_0003"))
    shards = sorted(Path("samples").glob("shard_*"))
    made = pd.concat([pd.read_csv(shard / "index.csv") for shard in shards])
    skipped = pd.concat([pd.read_csv(one) for one in sorted(Path("samples").rglob("skipped.csv"))])
    assert sorted([*made["sample"], *skipped["sample"]]) == list(range(8))
    assert list(made["file"]) == ["a_model.pdb", "c_model.pdb", "complex.pdb", "b_model.pdb"]
    reasons = "\n".join(skipped["reason"])
    assert len(skipped) == 4 and "'.txt'" in reasons and "cut off" in reasons
    assert "5 to 9999 residues" in reasons and "no chain 'A'" in reasons
    evaluate(path, "theirs", Path("samples"), Path("evaluation"))
    facts = json.loads(Path("evaluation/set.json").read_text())
    assert (facts["n"], facts["skipped"], facts["role"]) == (4, 4, "files")
    assert facts["seconds_per_sample"] is None
    table = pd.read_csv("evaluation/set.csv")
    assert float(table.loc[table["metric"] == "clashes", "value"].iloc[0]) == 0
    assert not set(table["metric"]) & {"seconds", "network_calls"}


def test_of_a_complex_one_chain_counts(given: Path) -> None:
    """Insertion codes count as residues, the likelier place counts, ligands and gaps do not."""
    expected = np.delete(native(5, 40, 44), 30, axis=0)
    sample = PROTEIN.adopt(Path("theirs/b/complex.pdb"), "A")
    moved = expected - expected.mean(0)
    assert np.abs(sample.points.numpy() - moved).max() < 2e-4
    assert len(PROTEIN.adopt(Path("theirs/b/complex.pdb"), "B").points) == 9
    with pytest.raises(FewstepError, match="several chains"):
        PROTEIN.adopt(Path("theirs/b/complex.pdb"), None)


def test_a_chain_far_from_the_origin_is_written(given: Path) -> None:
    chain = native(0, 40, 44)
    atoms = [line(k, "CA", "GLY", "A", str(k), point + 500) for k, point in enumerate(chain)]
    Path("far.pdb").write_text("\n".join(atoms) + "\nEND\n")
    sample = PROTEIN.adopt(Path("far.pdb"), None)
    assert np.abs(sample.points.numpy() - (chain - chain.mean(0))).max() < 2e-4
    PROTEIN.write(sample, Path(), {})
    atoms[0] = line(0, "CA", "GLY", "A", "0", chain[0] + 800)
    Path("far.pdb").write_text("\n".join(atoms) + "\nEND\n")
    with pytest.raises(FewstepError, match=r"within 99\.9 nm of their centre, got"):
        PROTEIN.adopt(Path("far.pdb"), None)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"model": "teacher", "files": "x"}, "give either model or files"),
        ({}, "give either model or files"),
        ({"model": "data", "chain": "A"}, "chain is of use with files only"),
        ({"model": "data", "refine": True}, "refine is of use with models only, not with data"),
        ({"files": "x", "refine": True}, "refine is of use with models only, not with files"),
        ({"model": "files"}, "give either model or files"),
    ],
    ids=str,
)
def test_settings_that_say_too_much_or_too_little(facts: dict, words: str) -> None:
    with pytest.raises(FewstepError, match=words):
        parse_config(content(sets={"theirs": facts}))


def test_clouds_have_no_chains() -> None:
    run = {"name": "x", "domain": "lidar", "teacher": "lidiff-mini", "data": {"path": "x"}}
    sets = {"theirs": {"files": "x/*.ply", "chain": "A"}}
    with pytest.raises(FewstepError, match=r"sets\.theirs\.chain: files of the lidar field"):
        parse_config({**run, "generate": {"scenes": 1}, "sets": sets})


def test_names_are_as_long_as_it_takes() -> None:
    paths = [Path(name) for name in ("x/a/m.pdb", "x/b/m.pdb", "y/b/m.pdb", "x/n.pdb")]
    assert distinct_names(paths) == ["a_m", "x_b_m", "y_b_m", "n"]
    with pytest.raises(FewstepError, match=r"called a_m: got a/m.cif and a/m.pdb"):
        distinct_names([Path("a/m.cif"), Path("a/m.pdb")])


def test_no_files_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match="there are no files"):
        given_files(str(tmp_path))
    (tmp_path / "[1].pdb").touch()
    assert given_files(str(tmp_path)) == [tmp_path / "[1].pdb"]


def test_the_workflow_has_a_job_for_each_shard_of_files(given: Path) -> None:
    """More files, and other shards, than the run samples."""
    sets = {name: None for name in ("naive", "student_2")}
    settings = content(sets={"theirs": {"files": "theirs/**/*.pdb", "chain": "A"}})
    settings["sets"] = {k: v for k, v in settings["sets"].items() if k not in sets}
    path = given / "run.json"
    path.write_text(json.dumps(settings))
    jobs = planned(given, path)
    assert jobs == {"generate": 2 + 4, "merge": 2, "describe": 1, "evaluate": 2, "report": 1}
    path.write_text(json.dumps({**settings, "sets": {"none": {"files": "nowhere/*.pdb"}}}))
    with pytest.raises(AssertionError, match=r"there are no files nowhere/\*\.pdb"):
        planned(given, path)


def test_score_is_one_line(given: Path, capsys: pytest.CaptureFixture) -> None:
    score(Path("theirs/**/*.pdb"), chain="A", output=Path("out"))
    said = capsys.readouterr().out
    assert "4 (3 skipped)" in said and "Held-out natives" in said and "Clashes" in said
    assert re.search(r"Residues +\d+ to \d+ +\d+ to \d+", said)
    results = pd.read_csv("out/results.csv")
    assert set(results["run"]) == {"score/given", "score/natives"}
    assert "Another program" in Path("out/report.html").read_text()
    index = pd.read_csv("out/samples/natives/shard_0000/index.csv")
    assert len(index) == 4 and index["length"].between(37, 47).all()
    score(Path("theirs/a"), output=Path("out"))
    assert pd.read_csv("out.earlier/results.csv").equals(results)
    assert "1 (0 skipped)" in capsys.readouterr().out


def test_score_replaces_nothing_and_does_not_score_itself(given: Path) -> None:
    Path("mine").mkdir()
    Path("mine/results.csv").write_text("mine")
    with pytest.raises(FewstepError, match="there are files in mine already"):
        score(Path("theirs/a"), output=Path("mine"))
    assert Path("mine/results.csv").read_text() == "mine"
    with pytest.raises(FewstepError, match="would match what is written to score"):
        score(Path("**/*.pdb"))
    with pytest.raises(FewstepError, match="there are no files nowhere"):
        score(Path("nowhere"))
    assert not Path("score").exists()


def test_what_lies_beside_structures_is_no_sample(tmp_path: Path) -> None:
    for name in ("x.pdb", "x.trb", "y.CIF", "README", ".hidden.pdb"):
        (tmp_path / name).touch()
    run = parse_config(content(sets={"theirs": {"files": str(tmp_path)}}))
    assert run.plan("theirs").count == 2
    assert [path.name for path in given_files(str(tmp_path), run.reads)] == ["x.pdb", "y.CIF"]
    assert len(given_files(f"{tmp_path}/*")) == 4  # a pattern says what it wants
    with pytest.raises(FewstepError, match=r"files \.bin \.ply \.pcd, or a pattern"):
        given_files(str(tmp_path), (".bin", ".ply", ".pcd"))


def test_directories_and_names_of_files_are_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("set [1]", "set 1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.pdb").touch()
    assert given_files(str(tmp_path / "set [1]")) == [tmp_path / "set [1]" / "x.pdb"]
    (tmp_path / "set 1" / "\udcff.pdb").touch()
    with pytest.raises(FewstepError, match="name is no UTF-8"):
        given_files(str(tmp_path / "set 1"))


def test_score_of_nothing_is_an_error(given: Path) -> None:
    with pytest.raises(FewstepError, match="none of 2 files is a structure"):
        score(Path("theirs/*r*_*s.pdb").parent / "[os]*.pdb", chain="Z", output=Path("out"))
    assert not (Path("out") / "report.html").exists()


def test_clouds_are_called_like_their_scenes(tiny_streets: LidarData, tmp_path: Path) -> None:
    field = LIDAR.with_data(tiny_streets)
    name = next(iter(field.held_out(LidarGenerate(scenes=1), [0], 0).values())).name
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    for form in ("ply", "pcd", "bin"):
        write_points(tmp_path / f"{name}.{form}", points)
        adopted = field.adopt(tmp_path / f"{name}.{form}", None)
        assert adopted.name == name and np.abs(adopted.points.numpy() - points).max() < 1e-5
    write_points(tmp_path / "other.ply", points)
    with pytest.raises(FewstepError, match="called like no scene"):
        field.adopt(tmp_path / "other.ply", None)
    points[3] = np.nan
    points.tofile(tmp_path / "holes.bin")
    rows = np.pad(points, ((0, 0), (0, 1)))
    rows.tofile(tmp_path / f"{name}.bin")
    with pytest.raises(FewstepError, match="1 of 50 points are not finite"):
        field.adopt(tmp_path / f"{name}.bin", None)


def test_a_written_chain_reads_the_same(given: Path) -> None:
    path = config(given, files="theirs/a")
    generate(path, "theirs", 0, Path("samples/shard_0000"))
    read, kept = read_ca(Path("theirs/a/model.pdb")), read_ca(Path("samples/shard_0000/model.pdb"))
    assert np.abs(read - read.mean(0) - kept).max() < 2e-4
