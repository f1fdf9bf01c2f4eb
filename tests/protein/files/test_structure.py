"""Contract: traces survive the files, in nanometre; the reference's text can be reproduced."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from domains.errors import FewstepError
from domains.protein.files.structure import (
    format_mmcif,
    format_pdb,
    read_ca,
    read_chains,
    write_mmcif,
    write_pdb,
)

WRITERS = [
    (write_pdb, "a.pdb"),
    (write_pdb, "a.ENT"),
    (write_mmcif, "a.cif"),
    (write_mmcif, "a.mmcif"),
]
TRACE = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-99.9, 99.9)
)


@pytest.fixture
def trace() -> np.ndarray:
    return np.cumsum(np.random.default_rng(0).normal(0, 0.2, (40, 3)), axis=0)


def pdb_atom(
    serial, name, alt, residue, chain, number, x, occupancy=1.0, insertion=" ", kind="ATOM"
):
    return (
        f"{kind:6}{serial:5} {name:4}{alt}{residue:3} {chain}{number:4}{insertion}   "
        f"{x:8.3f}{0:8.3f}{0:8.3f}{occupancy:6.2f}{0:6.2f}           C  "
    )


def save(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([*lines, "END", ""]))
    return path


def test_text_agrees_with_the_reference(golden: Path):
    points = np.load(golden / "protein/misc/primitives.npz")["x_nm"][0]
    expected = (golden / "protein/misc/sample.pdb").read_text()
    assert format_pdb(points, first_residue=0) == expected


def test_atom_at_the_origin_is_kept_where_the_reference_drops_it(golden: Path):
    dropped = (golden / "protein/misc/sample_zero_residue.pdb").read_text().splitlines()
    atoms = {int(l[22:26]): l[26:] for l in dropped if l.startswith("ATOM")}  # noqa: E741
    points = np.load(golden / "protein/misc/primitives.npz")["x_nm"][0].copy()
    zero = [i for i in range(len(points)) if i not in atoms]
    assert zero
    points[zero] = 0
    ours = format_pdb(points, first_residue=0).splitlines()
    found = {int(line[22:26]): line[26:] for line in ours if line.startswith("ATOM")}
    assert len(found) == len(points) and found.items() >= atoms.items()


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_trace_survives_writing_and_reading(tmp_path, trace, write, name):
    trace[7] = 0
    write(tmp_path / name, trace)
    read = read_ca(tmp_path / name)
    assert read.dtype == np.float64
    np.testing.assert_allclose(read, trace, atol=0.5001e-4)  # Half of the last digit, 0.001 Å.
    chain = read_chains(tmp_path / name)["A"]
    assert chain.numbers.tolist() == list(range(1, len(trace) + 1))


@given(TRACE)
def test_every_line_of_a_pdb_has_80_columns_and_the_numbers_come_back(points):
    lines = format_pdb(points).splitlines()
    assert all(len(line) == 80 for line in lines[:-1])
    atoms = [line for line in lines if line.startswith("ATOM")]
    read = [[float(line[k : k + 8]) for k in (30, 38, 46)] for line in atoms]
    np.testing.assert_allclose(np.array(read) / 10, points, atol=0.5001e-4)


@pytest.mark.parametrize(("write", "name"), WRITERS[1:3])
def test_scores_and_numbering_reach_the_file(tmp_path, trace, write, name):
    from biotite.structure.io import pdb, pdbx

    scores = np.linspace(0, 100, len(trace)).round(2)
    write(tmp_path / name, trace, scores=scores, first_residue=5)
    if name.endswith("ENT"):
        file = pdb.PDBFile.read(tmp_path / name)
        atoms = file.get_structure(model=1, extra_fields=["b_factor"])
    else:
        file = pdbx.CIFFile.read(tmp_path / name)
        atoms = pdbx.get_structure(file, model=1, extra_fields=["b_factor"])
    np.testing.assert_allclose(atoms.b_factor, scores, atol=0.006)
    assert atoms.res_id[0] == 5 and set(atoms.atom_name) == {"CA"} and set(atoms.element) == {"C"}


def test_torch_traces_are_accepted(trace):
    import torch

    assert format_pdb(torch.from_numpy(trace)) == format_pdb(trace)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 100.0, -99.99996, 1e30])
@pytest.mark.parametrize("form", [format_pdb, format_mmcif])
def test_coordinates_that_do_not_fit_are_errors(trace, form, value):
    trace[3, 1] = value
    with pytest.raises(FewstepError, match="residue 3"):
        form(trace)


@pytest.mark.parametrize("shape", [(0, 3), (3,), (4, 2), (1, 4, 3)])
def test_bad_shapes_are_errors(shape):
    with pytest.raises(FewstepError, match="trace"):
        format_pdb(np.zeros(shape))


@pytest.mark.parametrize("scores", [[1.0], [np.nan] * 40, [1000.0] * 40, [-100.0] * 40])
def test_bad_scores_are_errors(trace, scores):
    with pytest.raises(FewstepError, match="scores"):
        format_pdb(trace, scores=scores)


def test_too_many_residues_for_a_pdb_are_an_error():
    points = np.zeros((10_000, 3))
    with pytest.raises(FewstepError, match="mmCIF"):
        format_pdb(points)
    assert format_mmcif(points).count("\nATOM") == 10_000


def test_only_amino_acids_of_the_first_model_count(tmp_path):
    path = save(
        tmp_path / "a.pdb",
        "MODEL        1",
        pdb_atom(1, " N  ", " ", "GLY", "A", 1, 9.0),
        pdb_atom(2, " CA ", " ", "GLY", "A", 1, 1.0),
        pdb_atom(3, " CA ", " ", "MSE", "A", 2, 2.0, kind="HETATM"),
        pdb_atom(4, "CA  ", " ", " CA", "A", 3, 8.0, kind="HETATM"),
        pdb_atom(5, " CA ", " ", "LIG", "A", 4, 7.0, kind="HETATM"),
        "ENDMDL",
        "MODEL        2",
        pdb_atom(1, " CA ", " ", "GLY", "A", 1, 5.0),
        "ENDMDL",
    )
    np.testing.assert_allclose(read_ca(path)[:, 0], [0.1, 0.2])


def test_one_position_gives_one_point(tmp_path):
    path = save(
        tmp_path / "a.pdb",
        pdb_atom(1, " CA ", "A", "SER", "A", 1, 1.0, occupancy=0.3),
        pdb_atom(2, " CA ", "B", "SER", "A", 1, 2.0, occupancy=0.7),
        pdb_atom(3, " CA ", "A", "PRO", "A", 2, 3.0, occupancy=0.6),
        pdb_atom(4, " CA ", "B", "ALA", "A", 2, 4.0, occupancy=0.4),
        pdb_atom(5, " CA ", " ", "GLY", "A", 2, 5.0, insertion="A"),
    )
    np.testing.assert_allclose(read_ca(path)[:, 0], [0.2, 0.3, 0.5])


def test_chains_must_be_named_where_there_are_several(tmp_path):
    path = save(
        tmp_path / "a.pdb",
        pdb_atom(1, " CA ", " ", "GLY", "B", 4, 1.0),
        "TER",
        pdb_atom(2, " CA ", " ", "GLY", "A", -3, 2.0),
    )
    assert {n: c.numbers.tolist() for n, c in read_chains(path).items()} == {"B": [4], "A": [-3]}
    np.testing.assert_allclose(read_ca(path, "A"), [[0.2, 0, 0]])
    for chain, message in ((None, "several chains"), ("C", "no chain 'C'")):
        with pytest.raises(FewstepError, match=message):
            read_ca(path, chain)


@pytest.mark.parametrize("name", ["a.pdb", "a.cif"])
@pytest.mark.parametrize(
    "content", [b"", b"\n", bytes(range(256)) * 20, b"ATOM  garbage\n", b"data_x\n#\n"]
)
def test_damaged_files_are_errors(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FewstepError) as error:
        read_ca(tmp_path / name)
    assert "\n" not in str(error.value) and name in str(error.value)


def test_coordinates_that_are_not_finite_are_errors(tmp_path):
    line = pdb_atom(1, " CA ", " ", "GLY", "A", 1, 1.0).replace("   1.000", "     nan")
    with pytest.raises(FewstepError, match="finite"):
        read_ca(save(tmp_path / "a.pdb", line))


def test_missing_files_and_other_formats_are_errors(tmp_path):
    (tmp_path / "d.pdb").mkdir()
    for name, message in (
        ("no.pdb", "no structure"),
        ("a.xyz", "format"),
        ("d.pdb", "no structure"),
    ):
        with pytest.raises(FewstepError, match=message):
            read_ca(tmp_path / name)
