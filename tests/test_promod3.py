"""Contract: a CATH domain is cut from exactly the residues that its SEQRES range names.

The reader is held to a tiny database written here byte by byte; a damaged file or a domain
that can't be cut is one FewstepError. With FEWSTEP_PROMOD3 (the real ``structure_db.dat``) and
FEWSTEP_CATH_XML (ProDy's ``cath.xml``) set, the packed set is rebuilt and must come out equal.
"""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.protein.data.dataset import PACKED, load_domains, save_domains
from studies.promod3 import (
    build_domains,
    read_cath,
    read_database,
    split_by_superfamily,
)

# (PDB id, chain, length, SEQRES index of the first residue); one chain comes in two pieces.
CHAINS = [("1ABC", "A", 7, 1), ("1ABC", "A", 9, 12), ("2XYZ", "B2", 5, 3)]
CATH = """<id.root>
 <id.1 cath="1" rep="1abcA01" name=":Mainly Alpha">
  <id.1abcA01 cath="1.10.8.10" pdb="1abc" chain="A" length="4" range="2-5" />
  <id.1abcA02 cath="1.20.5.7" pdb="1abc" chain="A" length="6" range="14-19" />
  <id.2xyzB01 cath="3.40.50.1" pdb="2xyz" chain="B2" length="5" range="3-7" />
  <id.2xyzB02 cath="3.40.50.1" pdb="2xyz" chain="B2" length="4" range="3-4,6-7" />
  <id.1abcA03 cath="1.20.5.7" pdb="1abc" chain="A" length="9" range="5-13" />
  <id.9zzzA00 cath="1.20.5.7" pdb="9zzz" chain="A" length="9" range="5-13" />
 </id.1>
</id.root>
"""


def sequence() -> bytes:
    return bytes(ord("A") + k for k in range(sum(chain[2] for chain in CHAINS)))


def backbone() -> np.ndarray:
    """Distinct numbers near the top of u16, so that a signed reading would show."""
    residues = len(sequence())
    return (65000 + np.arange(residues * 12) % 500).astype("<u2").reshape(residues, 4, 3)


def database_bytes() -> bytes:
    content = struct.pack("<II", 1234, 2) + bytes(69) + struct.pack("<Q", len(CHAINS))
    offset = 0
    for pdb, name, length, first in CHAINS:
        content += struct.pack("<I", len(pdb)) + pdb.encode()
        content += struct.pack("<I", len(name)) + name.encode()
        content += struct.pack("<IHH3f", offset, length, first, 1.5, -2.5, 3.5)
        offset += length
    content += struct.pack("<Q", offset) + sequence()
    return content + struct.pack("<Q", offset) + backbone().tobytes()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    database, xml = tmp_path / "structure_db.dat", tmp_path / "cath.xml"
    database.write_bytes(database_bytes())
    xml.write_text(CATH)
    return database, xml


def test_database_is_read_as_written(files: tuple[Path, Path]) -> None:
    store = read_database(files[0])
    found = [(c.pdb, c.name, c.length, c.first) for c in store.chains]
    assert found == [(pdb.lower(), name, length, first) for pdb, name, length, first in CHAINS]
    assert [chain.offset for chain in store.chains] == [0, 7, 16]
    assert store.sequence.tobytes() == sequence()
    np.testing.assert_array_equal(store.backbone, backbone())


def test_domains_are_cut_by_seqres_range(files: tuple[Path, Path]) -> None:
    built = build_domains(*files, {"2xyzB01": 2, "1abcA02": 0, "1abcA01": 1})
    rows = [*range(16, 21), *range(9, 15), *range(1, 5)]  # 14-19 is in the piece that starts at 12
    np.testing.assert_array_equal(built["positions"], backbone()[rows, 1].astype(int))
    assert built["lengths"].tolist() == [5, 6, 4]
    assert built["split"].tolist() == [2, 0, 1]
    assert built["cath"].tolist() == ["3.40.50.1", "1.20.5.7", "1.10.8.10"]
    assert str(built["sequences"]).encode() == bytes(sequence()[row] for row in rows)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("2xyzB02", "2 ranges"),
        ("1abcA03", "no chain of the database"),  # runs over the gap between two pieces
        ("9zzzA00", "no chain of the database"),
        ("7nonA00", "no such domain"),
    ],
)
def test_domain_that_cannot_be_cut_is_named(files: tuple[Path, Path], name: str, part: str) -> None:
    with pytest.raises(FewstepError, match=part) as caught:
        build_domains(*files, {"1abcA01": 0, name: 0})
    assert name in str(caught.value)


def test_empty_selection_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(FewstepError, match="no domain"):
        build_domains(*files, {})


@pytest.mark.parametrize("kept", [0, 3, 60, 80, 100, 150, 200, -1])
def test_database_cut_short_is_refused(files: tuple[Path, Path], kept: int) -> None:
    files[0].write_bytes(database_bytes()[:kept])
    with pytest.raises(FewstepError):
        read_database(files[0])


@pytest.mark.parametrize("place", [0, 4, 77, 85, 98, 102])
def test_damaged_database_is_refused(files: tuple[Path, Path], place: int) -> None:
    content = bytearray(database_bytes())
    content[place] ^= 0x41
    files[0].write_bytes(content)
    with pytest.raises(FewstepError):
        read_database(files[0])


@pytest.mark.parametrize("text", ["", "<id.root>", "<root/>", CATH.replace("2-5", "x")])
def test_damaged_cath_file_is_refused(files: tuple[Path, Path], text: str) -> None:
    files[1].write_text(text)
    with pytest.raises(FewstepError):
        read_cath(files[1])


def test_missing_files_are_refused(tmp_path: Path) -> None:
    for read in (read_database, read_cath):
        with pytest.raises(FewstepError, match="nowhere"):
            read(tmp_path / "nowhere")


def test_split_depends_on_the_superfamily_alone() -> None:
    codes = [f"1.10.{k % 400}.{k % 7}" for k in range(2000)]
    split = split_by_superfamily(codes, share=0.2)
    by_code = dict(zip(codes, split, strict=True))
    assert all(by_code[code] == part for code, part in zip(codes, split, strict=True))
    shares = np.bincount(list(by_code.values()), minlength=3) / len(by_code)
    assert abs(shares[1] - 0.2) < 0.03
    assert abs(shares[2] - 0.2) < 0.03
    assert split_by_superfamily(codes[:900], share=0.2) == split[:900]
    assert not any(split_by_superfamily(codes, share=0.2, largest=0))


def test_packed_split_follows_the_rule() -> None:
    packed = load_domains()
    assert split_by_superfamily(packed.cath) == packed.split.tolist()


@pytest.mark.skipif(
    not {"FEWSTEP_PROMOD3", "FEWSTEP_CATH_XML"} <= set(os.environ),
    reason="set FEWSTEP_PROMOD3 to structure_db.dat and FEWSTEP_CATH_XML to cath.xml to rebuild",
)
def test_packed_set_is_rebuilt(tmp_path: Path) -> None:
    packed = load_domains()
    selection = dict(zip(packed.ids, packed.split.tolist(), strict=True))
    database, xml = Path(os.environ["FEWSTEP_PROMOD3"]), Path(os.environ["FEWSTEP_CATH_XML"])
    save_domains(tmp_path / "rebuilt.npz", build_domains(database, xml, selection))
    with (
        np.load(tmp_path / "rebuilt.npz", allow_pickle=False) as rebuilt,
        np.load(PACKED, allow_pickle=False) as kept,
    ):
        assert set(rebuilt.files) == set(kept.files)
        for key in kept.files:
            np.testing.assert_array_equal(rebuilt[key], kept[key], err_msg=key)
