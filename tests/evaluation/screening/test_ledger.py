"""Contract: rows are on disk when added; what a cut leaves is read back, and no half row is."""

from pathlib import Path

import pytest

from domains.evaluation.screening.ledger import Ledger

COLUMNS = ("sample", "value", "text")


def write(path: Path, *rows: dict) -> list[dict[str, str]]:
    with Ledger(path, COLUMNS) as ledger:
        for row in rows:
            ledger.add(row)
        return list(ledger.rows())


def test_rows_are_there_as_soon_as_they_are_added(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a/l.csv", COLUMNS) as ledger:
        ledger.add({"sample": 1, "value": 0.1, "text": 'x, "y"'})
        expected = {"sample": "1", "value": "0.1", "text": 'x, "y"'}
        assert list(ledger.rows()) == [expected]
        assert (tmp_path / "a/l.csv").read_text() == 'sample,value,text\n1,0.1,"x, ""y"""\n'


@pytest.mark.parametrize("tail", ["2", "2,3", "2,3,x", '2,3,"x\n', "2,3\n4,5,6\n", "2,\0,x\n"])
def test_a_row_that_was_cut_is_cut_off(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "l.csv"
    first = write(path, {"sample": 1, "value": 2})
    path.write_text(path.read_text() + tail)
    assert write(path) == first
    assert len(write(path, {"sample": 7})) == 2
    assert path.read_text().endswith("\n7,,\n")


@pytest.mark.parametrize("content", [b"", b"sample,value\n1,2\n", b"sample,value,te", b"\xff\xfe"])
def test_another_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "l.csv"
    path.write_bytes(content)
    assert write(path) == []
    assert path.read_text() == "sample,value,text\n"


def test_a_cut_at_any_byte_loses_one_row_at_most(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    rows = write(path, *({"sample": k, "value": k / 3, "text": "é,"} for k in range(3)))
    whole = path.read_bytes()
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        kept = write(path)
        assert kept == rows[: max(0, whole[:end].count(b"\n") - 1)]
