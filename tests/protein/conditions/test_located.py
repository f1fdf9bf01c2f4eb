"""Contract: a contig names residues as their file does, and gets these or one line."""

import re
from pathlib import Path

import pytest
from hostile.test_structures import at, cif
from pydantic import ValidationError

from domains.errors import FewstepError
from domains.protein.conditions.scaffold import MotifSource
from domains.protein.settings import Scaffold


@pytest.mark.parametrize("contig", ["10/A9-5/20", "10/A", "", "A1/A1"])
def test_contigs_that_cannot_be_read_are_refused_in_words(contig: str) -> None:
    with pytest.raises(ValidationError) as error:
        Scaffold(structure="a.pdb", contig=contig)
    text = error.value.errors()[0]["msg"]
    assert "bad contig" in text and "expected" in text and "^" not in text


def numbered(tmp_path: Path, labels: str, change: str = "") -> Path:
    """A file whose residue k, as labelled (chain, number, code), has its Cα at 4 k Å."""
    lines = []
    for k, label in enumerate(labels.split()):
        found = re.fullmatch(r"(.)(-?\d+)(\D?)", label)
        assert found
        chain, number, code = found.groups()
        lines.append(at(4 * k, chain=chain.replace("_", " "), number=number, insertion=code or " "))
    (tmp_path / "a.pdb").write_text("".join(lines).replace("GLY", change or "GLY", 1))
    return tmp_path / "a.pdb"


IMGT = "H110 H111 H111A H111B H112B H112A H112 H113 H114"
KABAT = "L26 L27 L27A L27B L27C L28 L29"
FOUND: dict[str, tuple[str, str, list[int]]] = {
    "IMGT's order": (IMGT, "H111-113", [1, 2, 3, 4, 5, 6, 7]),
    "up to the residue without a code": (IMGT, "H111-112", [1, 2, 3, 4, 5, 6]),
    "from that residue": (IMGT, "H112-114", [6, 7, 8]),
    "codes at both ends": (IMGT, "H111B-112A", [3, 4, 5]),
    "codes alone, one by one": (IMGT, "H111A/3/H112A/1/H111B", [2, 5, 3]),
    "one number with several codes": (IMGT, "H112B-112", [4, 5, 6]),
    "Kabat's order": (KABAT, "L26-29", [0, 1, 2, 3, 4, 5, 6]),
    "the end of an insertion": (KABAT, "L27B-28", [3, 4, 5]),
    "before the insertion": (KABAT, "L26-27/L29", [0, 1, 6]),
    "numbers below zero": ("A-2 A-1 A0 A1", "A-2-0", [0, 1, 2]),
    "numbers below zero up to such": ("A-4 A-3 A-2 A1", "A-4--2", [0, 1, 2]),
    "a chain without a name": ("_1 _2 _3", "_1-3", [0, 1, 2]),
    "a chain called by a number": ("11 12 13", "1:1-3", [0, 1, 2]),
    "any order without codes, by number": ("A5 A4 A7 A6", "A4-7", [1, 0, 3, 2]),
}


@pytest.mark.parametrize(("labels", "contig", "rows"), FOUND.values(), ids=FOUND)
def test_residues_are_found_as_the_file_names_them(tmp_path, labels, contig, rows) -> None:
    path = numbered(tmp_path, labels)
    source = MotifSource(Scaffold(structure=str(path), contig=f"2/{contig}/0-9"))
    x = source.place(source.contig.lengths[0], "0").points[:, 0]
    assert (x - x[0]).tolist() == pytest.approx([0.4 * (row - rows[0]) for row in rows])


def test_chains_of_several_letters_are_found(tmp_path: Path) -> None:
    rows = [{"auth_asym_id": "AA", "auth_seq_id": str(k), "Cartn_x": str(4 * k)} for k in range(4)]
    (tmp_path / "a.cif").write_text(cif(*rows))
    source = MotifSource(Scaffold(structure=str(tmp_path / "a.cif"), contig="2/AA0-3/2"))
    assert source.place(8, "0").positions == (2, 3, 4, 5)


NOT_FOUND: dict[str, tuple[str, str, str]] = {
    "no such code": (IMGT, "H110-113/H111C", "no Cα of residue H111C: got H111, H111A, H111B"),
    "only with a code": ("A1 A2A A3 A4", "A2-4", "no Cα of residue A2: got A2A"),
    "backwards in the file": (IMGT, "H112A-112B", "no stretch"),
    "others between": ("A1 A1A A9 A2 A3", "A1-3", "no stretch"),
    "a gap in the numbers": ("A1 A1A A3 A4", "A1-4", "no Cα of residue A2"),
    "a number asked for twice": (IMGT, "H111-113/H111A", "each motif residue once, got H111A"),
    "another chain": (IMGT, "_110-112", "no Cα of residue _110: got chains H"),
}


@pytest.mark.parametrize(("labels", "contig", "said"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_residues_that_are_not_there(tmp_path, labels, contig, said) -> None:
    path = numbered(tmp_path, labels)
    with pytest.raises(FewstepError, match=said):
        MotifSource(Scaffold(structure=str(path), contig=contig))


def test_a_residue_of_unknown_name_is_said_to_have_it(tmp_path: Path) -> None:
    path = numbered(tmp_path, "A1 A2 A3 A4", change="DAL")
    with pytest.raises(FewstepError, match=r"residue A1 that is known .* got the name DAL"):
        MotifSource(Scaffold(structure=str(path), contig="A1-4"))
