"""Contract: a PDB or mmCIF file is read by the rules of the second table, or refused in one line.

A refusal: what is wrong with the file → its text → words of the line. A rule: what is unusual
about the file → its text → x in nm of the Cα atoms that count.
"""

from pathlib import Path
from typing import Any

import pytest
from hostile.readers import attempt

from domains.field import load_field
from domains.protein.files.structure import read_chains

ATOM = {"kind": "ATOM", "serial": 1, "name": " CA ", "alt": " ", "residue": "GLY", "chain": "A"}
ATOM |= {"number": 1, "insertion": " ", "x": "1.000", "occupancy": "1.00"}
COLUMNS = {
    **{"group_PDB": "ATOM", "id": "1", "type_symbol": "C", "label_atom_id": "CA"},
    **{"label_alt_id": ".", "label_comp_id": "ALA", "label_asym_id": "A", "label_seq_id": "1"},
    **{"pdbx_PDB_ins_code": "?", "Cartn_x": "1.0", "Cartn_y": "0.0", "Cartn_z": "0.0"},
    **{"occupancy": "1.0", "auth_seq_id": "1", "auth_comp_id": "ALA", "auth_asym_id": "A"},
    **{"auth_atom_id": "CA", "pdbx_PDB_model_num": "1"},
}


def pdb(**changes: Any) -> str:
    """A line of an atom."""
    return (
        "{kind:6}{serial:>5} {name:4}{alt}{residue:>3} {chain}{number:>4}{insertion}   "
        "{x:>8}   0.000   0.000{occupancy:>6}  0.00           C  \n"
    ).format(**ATOM | changes)


def at(x: int, **changes: Any) -> str:
    """A line of an atom at x Å."""
    return pdb(x=f"{x}.000", **changes)


def cif(*rows: dict[str, str], without: str = "none", end: str = "\n#\n") -> str:
    """A table of atoms."""
    names = [name for name in COLUMNS if without not in name]
    lines = [" ".join((COLUMNS | row)[name] for name in names) for row in rows]
    return "\n".join(["data_x", "loop_", *(f"_atom_site.{n}" for n in names), *lines]) + end


MODEL = "MODEL     {:4}\n"
REFUSED: dict[str, tuple[str, str | bytes, str]] = {
    "empty": ("pdb", "", "0 models"),
    "only an end": ("pdb", "END\n", "0 models"),
    "binary": ("pdb", bytes(range(256)), "can't read"),
    "compressed": ("pdb", b"\x1f\x8b\x08\0" + bytes(50), "can't read"),
    "Latin-1": ("pdb", "REMARK é\n".encode("latin-1") + pdb().encode(), "can't read"),
    "UTF-16": ("pdb", pdb().encode("utf-16"), "can't read"),
    "a web page": ("pdb", "<html>404 not found</html>\n", "0 models"),
    "mmCIF by the name of PDB": ("pdb", cif({}), "can't read"),
    "all in lower case": ("pdb", pdb().lower(), "0 models"),
    "residues in lower case": ("pdb", pdb(residue="gly"), "no Cα atoms"),
    "no Cα": ("pdb", pdb(name=" N  ") + pdb(name=" C  "), "no Cα atoms"),
    "nucleic acid": ("pdb", pdb(name=" P  ", residue=" DA"), "no Cα atoms"),
    "water": ("pdb", pdb(name=" O  ", residue="HOH", kind="HETATM"), "no Cα atoms"),
    "calcium, which is called CA too": ("pdb", pdb(residue=" CA", kind="HETATM"), "no Cα atoms"),
    "only residues of other kinds": ("pdb", pdb(residue="UNK") + pdb(residue="HEM"), "no Cα atoms"),
    "an empty first model": (
        "pdb", MODEL.format(1) + "ENDMDL\n" + MODEL.format(2) + pdb() + "ENDMDL\n", "no Cα atoms"),
    "NaN": ("pdb", pdb(x="nan"), "not finite"),
    "infinity": ("pdb", pdb(x="inf"), "not finite"),
    "a number that overflows": ("pdb", pdb(x="1e300"), "not finite"),
    "ten micrometres": ("pdb", pdb(x="99999.99"), "no structure's"),
    "stars for a number": ("pdb", pdb(x="********"), "can't read"),
    "no number": ("pdb", pdb(x=""), "can't read"),
    "no residue number": ("pdb", pdb(number=""), "can't read"),
    "an occupancy of words": ("pdb", pdb(occupancy="full"), "can't read"),
    "two chains of one letter": ("pdb", at(1) + "TER\n" + at(30), "comes twice"),
    "two chains of one letter, without TER": (
        "pdb", at(1) + at(4, number=2) + at(30) + at(34, number=2), "comes twice"),
    "two chains of one letter, in the same place": ("pdb", at(1) + "TER\n" + at(1), "comes twice"),
    "two chains with alternate locations": (
        "pdb", at(1, alt="A") + at(2, alt="B") + "TER\n" + at(30, alt="A") + at(31, alt="B"),
        "comes twice"),
    "all residues of one number": ("pdb", at(1) + at(5) + at(9), "comes twice"),
    "shifted by a tab": ("pdb", pdb().replace("  ", "\t", 1), "can't read|no Cα"),
    "NUL in a name": ("pdb", pdb(residue="G\0Y"), "no Cα atoms"),
    "cut off after the record's name": ("pdb", pdb() + "ATOM", "can't read"),
    "cut off in the residue": ("pdb", pdb() + pdb()[:20], "can't read"),
    "cut off in the coordinates": ("pdb", pdb() + pdb()[:40], "can't read"),
    "cut off in the last coordinate": ("pdb", pdb() + pdb()[:53], "can't read"),
    "cut off before the occupancy": ("pdb", pdb() + pdb()[:54], "can't read"),
    "cut off in the occupancy": ("pdb", pdb() + pdb()[:58], "cut off within its last line"),
    "cut off before the temperature factor": ("pdb", pdb() + pdb()[:60], "cut off within"),
    "short lines, cut off in the coordinates": (
        "pdb", pdb()[:54] + "\n" + pdb()[:52], "can't read"),
    "mmCIF: empty": ("cif", "", "can't read"),
    "mmCIF: binary": ("cif", bytes(range(256)), "can't read"),
    "mmCIF: PDB by the name of it": ("cif", pdb(), "can't read"),
    "mmCIF: another table": ("cif", "data_x\n_cell.length_a 1\n", "none with 'atom_site'"),
    "mmCIF: no atoms": ("cif", cif(), "can't read"),
    "mmCIF: two blocks": ("cif", cif({}) + cif({}).replace("data_x", "data_y"), "can't read"),
    "mmCIF: no Cα": ("cif", cif({"label_atom_id": "N", "auth_atom_id": "N"}), "no Cα atoms"),
    "mmCIF: no column of x": ("cif", cif({}, without="Cartn_x"), "Cartn_x"),
    "mmCIF: two chains of one name": ("cif", cif({}, {"Cartn_x": "30"}), "comes twice"),
    "mmCIF: residues without a number": (
        "cif", cif({}, {"auth_seq_id": "?", "label_seq_id": "."}), "without a number"),
    "mmCIF: no column of numbers": ("cif", cif({}, without="seq_id"), "seq_id"),
    "mmCIF: no column of atoms' names": ("cif", cif({}, without="atom_id"), "atom_id"),
    "mmCIF: a coordinate that is unknown": ("cif", cif({}, {"Cartn_x": "?"}), "without Cartn_x"),
    "mmCIF: a coordinate that is left out": ("cif", cif({}, {"Cartn_z": "."}), "without Cartn_z"),
    "mmCIF: a coordinate of words": ("cif", cif({"Cartn_x": "far"}), "can't read"),
    "mmCIF: a coordinate with half an error": ("cif", cif({"Cartn_x": "1.0(3"}), "can't read"),
    "mmCIF: a coordinate that is only an error": ("cif", cif({"Cartn_x": "(3)"}), "can't read"),
    "mmCIF: NaN": ("cif", cif({"Cartn_y": "nan"}), "not finite"),
    "mmCIF: a number that overflows": ("cif", cif({"Cartn_y": "1e300"}), "not finite"),
    "mmCIF: 10^29 nm": ("cif", cif({"Cartn_y": "1e30"}), "no structure's"),
    "mmCIF: cut off within a row": ("cif", cif({}, end=" ATOM 2 C"), "can't read"),
    "mmCIF: a quote without end": ("cif", cif({"label_comp_id": "'ALA"}), "can't read"),
    "mmCIF: a text without end": ("cif", cif({"label_comp_id": "\n;ALA\n"}), "can't read"),
    "mmCIF: a model that is no number": ("cif", cif({"pdbx_PDB_model_num": "x"}), "can't read"),
    "mmCIF: a residue that is no number": (
        "cif", cif({"auth_seq_id": "x", "label_seq_id": "x"}), "can't read"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, kind: str, content: str | bytes, words: str) -> None:
    data = content.encode() if isinstance(content, str) else content
    line = attempt(kind, data, tmp_path)
    assert line and any(word in line for word in words.split("|")), line


READ: dict[str, tuple[str, str, list[float]]] = {
    "gaps are kept": ("pdb", at(1, number=1) + at(50, number=40), [0.1, 5.0]),
    "any order of numbers is kept": ("pdb", at(1, number=5) + at(2, number=-3), [0.1, 0.2]),
    "of alternate locations the likeliest": (
        "pdb", at(1, alt="A", occupancy="0.30") + at(2, alt="B", occupancy="0.70"), [0.2]),
    "of equal ones the first": (
        "pdb", at(1, alt="A", occupancy="0.50") + at(2, alt="B", occupancy="0.50"), [0.1]),
    "the likeliest location, in blocks": (
        "pdb",
        "".join(at(k, number=k, alt="A", occupancy="0.40") for k in (1, 2))
        + "".join(at(k + 5, number=k, alt="B", occupancy="0.60") for k in (1, 2))
        + at(9, number=3), [0.6, 0.7, 0.9]),
    "the likeliest location, after the chain's end": (
        "pdb",
        at(1, alt="A", occupancy="0.40") + at(3, number=2) + "TER\n"
        + at(2, alt="B", occupancy="0.60"), [0.2, 0.3]),
    "the likeliest of several amino acids": (
        "pdb",
        at(1, alt="A", residue="SER", occupancy="0.40")
        + at(2, alt="B", residue="PRO", occupancy="0.60"), [0.2]),
    "locations that are numbers": (
        "pdb", at(1, alt="1", occupancy="0.30") + at(2, alt="2", occupancy="0.70"), [0.2]),
    "a location without a mark, and one with": (
        "pdb", at(1, occupancy="0.30") + at(2, alt="B", occupancy="0.70"), [0.2]),
    "a residue of one marked location": ("pdb", at(1) + at(2, number=2, alt="B"), [0.1, 0.2]),
    "no occupancy": ("pdb", at(1, occupancy="") + at(2, number=2), [0.1, 0.2]),
    "lines of 54 columns": (
        "pdb", at(1)[:54] + "\n" + at(2, number=2)[:54] + "\n", [0.1, 0.2]),
    "lines of 60 columns": (
        "pdb", at(1)[:60] + "\n" + at(2, number=2)[:60] + "\n", [0.1, 0.2]),
    "lines of 54 columns, the last without an end": (
        "pdb", at(1)[:54] + "\n" + at(2, number=2)[:54], [0.1, 0.2]),
    "no end, and no charge in the last line": (
        "pdb", at(1).replace("  \n", "1-\n") + at(2, number=2).rstrip(), [0.1, 0.2]),
    "a temperature factor that doesn't fit": (
        "pdb", at(1).replace("1.00  0.00", "1.00******"), [0.1]),
    "a byte order mark": ("pdb", "\ufeff" + at(1) + at(2, number=2), [0.1, 0.2]),
    "models parted by END alone": (
        "pdb", at(1) + at(2, number=2) + "END\n" + at(5) + at(6, number=2) + "END\n", [0.1, 0.2]),
    "files put together": ("pdb", at(1) + "END\n" + at(5, number=2) + "END\n", [0.1, 0.5]),
    "a chain that goes on after TER": ("pdb", at(1) + "TER\n" + at(5, number=2), [0.1, 0.5]),
    "insertions are residues of their own": (
        "pdb", at(1) + at(2, insertion="A") + at(3, insertion="B"), [0.1, 0.2, 0.3]),
    "a residue given twice counts once": ("pdb", at(1) + at(2), [0.1]),
    "only the first model": (
        "pdb",
        MODEL.format(1) + at(1) + "ENDMDL\n" + MODEL.format(2) + at(2) + "ENDMDL\n", [0.1]),
    "the first model, whatever its number": (
        "pdb", MODEL.format(7) + at(1) + "ENDMDL\n" + MODEL.format(2) + at(2) + "ENDMDL\n", [0.1]),
    "residues of other kinds are left out": (
        "pdb", at(1, residue="UNK") + at(2, number=2) + at(3, residue="DAL", number=3), [0.2]),
    "names of force fields are amino acids'": (
        "pdb", "".join(at(k, number=k, residue=name) for k, name in enumerate(
            ("HIE", "HID", "HIP", "HSD", "HSE", "HSP", "CYX", "CYM", "ASH", "GLH", "LYN"))),
        [k / 10 for k in range(11)]),
    "names of four letters, too": (
        "pdb", at(1).replace("GLY A", "HISDA") + at(2, number=2).replace("GLY A", "NALAA")
        + at(3, number=3).replace("GLY A", "LYSHA"), [0.1, 0.2, 0.3]),
    "modified residues are those they are made from": (
        "pdb", "".join(at(k, number=k, residue=name, kind="HETATM") for k, name in enumerate(
            ("SEP", "TPO", "PTR", "CSO", "MLY", "M3L", "KCX", "PCA", "ALY", "HYP", "SEC"))),
        [k / 10 for k in range(11)]),
    "selenomethionine is methionine": ("pdb", at(1, residue="MSE", kind="HETATM"), [0.1]),
    "ligands, water and metals are left out": (
        "pdb", at(1) + at(2, residue="HOH", name=" O  ") + at(3, residue=" CA", number=9), [0.1]),
    "other atoms are left out": ("pdb", at(1, name=" N  ") + at(2) + at(3, name=" CB "), [0.2]),
    "numbers beyond 9999 in hybrid-36": ("pdb", at(1) + at(2, number="A000"), [0.1, 0.2]),
    "serial numbers don't matter": ("pdb", at(1, serial="*****"), [0.1]),
    "a nameless chain": ("pdb", at(1, chain=" "), [0.1]),
    "line ends of Windows": ("pdb", (at(1) + at(2, number=2)).replace("\n", "\r\n"), [0.1, 0.2]),
    "no END: can't be told from a file cut off there": ("pdb", at(1), [0.1]),
    "residues on one spot": ("pdb", at(0) + at(0, number=2), [0.0, 0.0]),
    "mmCIF: gaps are kept": (
        "cif", cif({}, {"auth_seq_id": "40", "Cartn_x": "50"}), [0.1, 5.0]),
    "mmCIF: the likeliest location": (
        "cif",
        cif({"label_alt_id": "A", "occupancy": "0.3"},
            {"label_alt_id": "B", "occupancy": "0.7", "Cartn_x": "2"}), [0.2]),
    "mmCIF: the likeliest location, in blocks": (
        "cif",
        cif({"label_alt_id": "A", "occupancy": "0.4"}, {"auth_seq_id": "2", "Cartn_x": "3"},
            {"label_alt_id": "B", "occupancy": "0.6", "Cartn_x": "2"}), [0.2, 0.3]),
    "mmCIF: no column of models": ("cif", cif({}, without="model"), [0.1]),
    "mmCIF: no column of occupancies": (
        "cif", cif({"label_alt_id": "A"}, without="occup"), [0.1]),
    "mmCIF: no column of insertions": ("cif", cif({}, without="ins_code"), [0.1]),
    "mmCIF: no column of kinds": ("cif", cif({}, without="group"), [0.1]),
    "mmCIF: no column of elements": ("cif", cif({}, without="symbol"), [0.1]),
    "mmCIF: no column of alternate locations": ("cif", cif({}, without="alt_id"), [0.1]),
    "mmCIF: numbers with their errors": (
        "cif",
        cif({"Cartn_x": "1.000(5)", "Cartn_y": "-0.0(12)", "occupancy": "0.3(1)",
             "label_alt_id": "A"},
            {"Cartn_x": "2.000(5)", "occupancy": "0.7(1)", "label_alt_id": "B"}), [0.2]),
    "mmCIF: all tags in capitals": (
        "cif", cif({}).replace("_atom_site.", "_ATOM_SITE.").replace("Cartn", "CARTN")
        .replace("loop_", "LOOP_").replace("data_", "DATA_").replace("_id", "_ID"), [0.1]),
    "mmCIF: all tags in lower case": (
        "cif", cif({}, {"pdbx_PDB_ins_code": "A", "Cartn_x": "2"}).replace("PDB_", "pdb_")
        .replace("Cartn", "cartn"), [0.1, 0.2]),
    "mmCIF: indented tags": ("cif", cif({}).replace("\n_atom", "\n  _atom"), [0.1]),
    "mmCIF: unknown names of the authors": (
        "cif", cif({"auth_seq_id": "?", "auth_asym_id": ".", "auth_atom_id": "?"},
                   {"auth_seq_id": "?", "auth_asym_id": ".", "label_seq_id": "2",
                    "Cartn_x": "4"}), [0.1, 0.4]),
    "mmCIF: a ligand without a number": (
        "cif", cif({}, {"group_PDB": "HETATM", "label_comp_id": "GLU", "auth_comp_id": "GLU",
                        "auth_seq_id": ".", "label_seq_id": "."}), [0.1]),
    "mmCIF: an atom of the first model after the second": (
        "cif", cif({}, {"pdbx_PDB_model_num": "2", "Cartn_x": "2"},
                   {"auth_seq_id": "2", "Cartn_x": "4"}), [0.1, 0.4]),
    "mmCIF: a cell that is no cell": (
        "cif", cif({}) + "_cell.length_a wide\n_cell.length_b 1\n", [0.1]),
    "mmCIF: insertions": ("cif", cif({}, {"pdbx_PDB_ins_code": "A", "Cartn_x": "2"}), [0.1, 0.2]),
    "mmCIF: only the first model": (
        "cif", cif({}, {"pdbx_PDB_model_num": "2", "Cartn_x": "2"}), [0.1]),
    "mmCIF: without the authors' columns": ("cif", cif({}, without="auth"), [0.1]),
    "mmCIF: names in quotes": ("cif", cif({"label_atom_id": "'CA'"}), [0.1]),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "expected"), READ.values(), ids=READ)
def test_read_by_a_rule(tmp_path: Path, kind: str, content: str, expected: list[float]) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(content.encode())
    (chain,) = read_chains(path).values()
    assert chain.points[:, 0].tolist() == pytest.approx(expected)
    assert load_field("protein").read(path).points[:, 0].tolist() == pytest.approx(expected)
