"""Contract: every residue of a file is there once, in file order, by the name the file gives it."""

from pathlib import Path

import numpy as np
import pytest
from hostile.test_structures import at, cif
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domains.errors import FewstepError
from domains.protein.files.chains import Chain
from domains.protein.files.residue_names import is_amino_acid
from domains.protein.files.structure import read_ca, read_chains


def chains(tmp_path: Path, text: str, kind: str = "pdb") -> dict[str, Chain]:
    (tmp_path / f"a.{kind}").write_text(text)
    return read_chains(tmp_path / f"a.{kind}")


def of_segment(segment: str, first: int, chain: str = "A", start: int = 1) -> str:
    """Three atoms of a segment, the first at ``first`` Å."""
    lines = [at(first + 4 * k, number=start + k, chain=chain).rstrip("\n") for k in range(3)]
    return "".join(f"{line[:72]:72}{segment:4}{line[76:]}\n" for line in lines)


def test_insertions_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    labels = ["110", "111", "111A", "111B", "112B", "112A", "112", "113"]
    lines = [
        at(4 * k, number=int(label[:3]), insertion=label[3:] or " ", chain="H")
        for k, label in enumerate(labels)
    ]
    chain = chains(tmp_path, "".join(lines))["H"]
    assert [f"{number}{code}" for number, code in chain.residues] == labels
    np.testing.assert_allclose(chain.points[:, 0], 0.4 * np.arange(8), atol=1e-6)


@pytest.mark.parametrize("letter", ["A", " "])
def test_chains_that_differ_in_their_segment_are_called_after_it(tmp_path, letter) -> None:
    text = of_segment("PROA", 0, letter) + of_segment("PROB", 50, letter)
    found = chains(tmp_path, text + "TER\n")
    assert list(found) == ["PROA", "PROB"]
    assert [chain.points[0, 0] for chain in found.values()] == [0, 5]
    assert all(chain.numbers.tolist() == [1, 2, 3] for chain in found.values())
    with pytest.raises(FewstepError, match="several chains"):
        read_ca(tmp_path / "a.pdb")


def test_segments_that_need_no_telling_apart_change_no_name(tmp_path: Path) -> None:
    text = of_segment("PROA", 0) + of_segment("PROB", 50, start=9) + of_segment("PROC", 90, "C")
    found = chains(tmp_path, text)
    assert {name: chain.numbers.tolist() for name, chain in found.items()} == {
        "A": [1, 2, 3, 9, 10, 11],
        "C": [1, 2, 3],
    }


@pytest.mark.parametrize(
    "text",
    [
        of_segment("PROA", 0) + of_segment("", 50),
        of_segment("PROA", 0) + "TER\n" + of_segment("PROA", 50),
        of_segment("C", 0) + of_segment("D", 50) + of_segment("X", 90, "C"),
    ],
    ids=["a segment without a name", "one segment twice", "a segment called as a chain"],
)
def test_chains_that_cannot_be_told_apart_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FewstepError, match="residue 1 of chain 'A' comes twice"):
        chains(tmp_path, text)


def test_chains_of_two_letters_in_a_pdb(tmp_path: Path) -> None:
    names = (("ALA", "AA"), ("HIS", "AA"), ("HIS", " B"), ("ALA", "HB"))
    lines = [
        at(4 * k, residue=residue, number=k).replace(f"{residue} A", residue + chain)
        for k, (residue, chain) in enumerate(names)
    ]
    found = chains(tmp_path, "".join(lines))
    assert {name: chain.numbers.tolist() for name, chain in found.items()} == {
        "AA": [0, 1],
        "B": [2],
        "HB": [3],
    }


def test_chains_of_an_mmcif_that_differ_in_the_archives_name(tmp_path: Path) -> None:
    rows = [{"label_asym_id": name, "Cartn_x": x} for name, x in (("C", "1"), ("D", "30"))]
    found = chains(tmp_path, cif(*rows), "cif")
    assert {name: chain.points[0, 0] for name, chain in found.items()} == {"C": 0.1, "D": 3}


def test_residues_that_are_left_out_are_known_by_name(tmp_path: Path) -> None:
    text = at(1) + at(5, number=2, residue="UNK") + at(9, number=3, residue="DAL", insertion="B")
    assert chains(tmp_path, text)["A"].others == {(2, ""): "UNK", (3, "B"): "DAL"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ALA", "MSE", "HIE", "HSE", "CYX", "ASH", "NHIE", "CALA", "SEP", "MLY", "PYL"], True),
        (["", "CA", "HOH", "UNK", "HEM", "CRO", "DAL", "DA", "ala", "\0", "NA", "LONGER"], False),
    ],
)
def test_names_of_amino_acids(names: list[str], expected: bool) -> None:
    assert {name: is_amino_acid(name) for name in names} == dict.fromkeys(names, expected)


@st.composite
def located_residues(draw) -> list[list[tuple[int, str, str, float]]]:
    """Residues, each with the rows of its alternate locations: number, code, mark, occupancy."""
    labels = draw(
        st.lists(
            st.tuples(st.integers(-5, 9), st.sampled_from(" AB")),
            min_size=1, max_size=6, unique=True,
        )
    )  # fmt: skip
    marks = st.lists(st.sampled_from(" AB1"), min_size=1, max_size=3, unique=True)
    share = st.sampled_from([0.2, 0.4, 0.6])
    return [[(*label, mark, draw(share)) for mark in draw(marks)] for label in labels]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(located_residues(), st.randoms(use_true_random=False), st.booleans())
def test_alternate_locations_may_be_anywhere(tmp_path: Path, residues, shuffle, ended) -> None:
    firsts = [found[0] for found in residues]
    later = [row for found in residues for row in found[1:]]
    shuffle.shuffle(later)
    rows = [*firsts, *later]
    x = {row: 4 * k for k, row in enumerate(rows)}
    parts = [
        "".join(
            at(x[row], number=row[0], insertion=row[1], alt=row[2], occupancy=f"{row[3]:.2f}")
            for row in part
        )
        for part in (firsts, later)
    ]
    likeliest = [min(found, key=lambda row: (-row[3], row[2].strip())) for found in residues]
    from_pdb = chains(tmp_path, ("TER\n" if ended else "").join(parts))["A"]
    table = [
        {
            "auth_seq_id": str(number),
            "pdbx_PDB_ins_code": code.replace(" ", "?"),
            "label_alt_id": mark.replace(" ", "."),
            "occupancy": f"{share:.2f}",
            "Cartn_x": f"{x[number, code, mark, share]}.0",
        }
        for number, code, mark, share in rows
    ]
    from_cif = chains(tmp_path, cif(*table), "cif")["A"]
    for chain in (from_pdb, from_cif):
        assert chain.residues == [(found[0][0], found[0][1].strip()) for found in residues]
        np.testing.assert_allclose(chain.points[:, 0], [0.1 * x[row] for row in likeliest])
