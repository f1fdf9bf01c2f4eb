"""Contract: the merged table is the union of the shards', or nothing; memory is a row's."""

import csv
import tracemalloc
from pathlib import Path

import pytest
from tiny_run import write_config

from domains.errors import FewstepError
from domains.stages.merge import merge
from domains.stages.shard_index import COLUMNS, INDEX

HEADER = list(COLUMNS[INDEX])


def row(number: object, file: str) -> list:
    return [number, 44, 0, 0.5, 8, 0.3, file, "digest"]


def put(path: Path, *rows: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two shards of two samples, of which the second lacks one."""
    write_config(tmp_path / "run.yaml")
    put(tmp_path / "set/shard_0000/index.csv", HEADER, row(0, "a.pdb"), row(1, "b, c.pdb"))
    put(tmp_path / "set/shard_0001/index.csv", HEADER, row(3, "d.pdb"))
    put(tmp_path / "set/shard_0001/skipped.csv", ["sample", "reason"], [2, 'not "there"'])
    return tmp_path


def merged(place: Path) -> tuple[list, list]:
    """Rows of the two tables."""
    paths = place / "set/index.csv", place / "set/skipped.csv"
    merge(place / "run.yaml", place / "set", *paths)
    index, skipped = (list(csv.reader(path.open(newline=""))) for path in paths)
    return index, skipped


def test_union_names_shards_and_files(place: Path) -> None:
    index, skipped = merged(place)
    assert index == [
        [*HEADER, "shard"],
        [*map(str, row(0, "shard_0000/a.pdb")), "shard_0000"],
        [*map(str, row(1, "shard_0000/b, c.pdb")), "shard_0000"],
        [*map(str, row(3, "shard_0001/d.pdb")), "shard_0001"],
    ]
    assert skipped == [["sample", "reason", "shard"], ["2", 'not "there"', "shard_0001"]]


def test_nothing_skipped_is_a_table_without_rows(place: Path) -> None:
    (place / "set/shard_0001/skipped.csv").unlink()
    assert merged(place)[1] == [["sample", "reason", "shard"]]


def test_a_shard_may_be_empty(place: Path) -> None:
    """Held-out data can run out."""
    put(place / "set/shard_0001/index.csv", HEADER)
    assert len(merged(place)[0]) == 3


def test_shards_of_another_plan_are_left_out(place: Path) -> None:
    put(place / "set/shard_0002/index.csv", HEADER, row(4, "e.pdb"))
    put(place / "set/shard_0001.damaged/index.csv", HEADER, row(3, "e.pdb"))
    assert len(merged(place)[0]) == 4


def changed(**values: object) -> list:
    """A row with other values in these columns."""
    return [values.get(name, value) for name, value in zip(HEADER, row(3, "d.pdb"), strict=True)]


OTHERS = {
    "missing": None,
    "empty": [],
    "another header": [[*HEADER[1:], "sample"], row(3, "d.pdb")],
    "no header": [row(3, "d.pdb")],
}


@pytest.mark.parametrize("rows", OTHERS.values(), ids=OTHERS)
def test_what_generate_did_not_make_stays_where_it_is(place: Path, rows: list | None) -> None:
    """Even beside a shard that is damaged."""
    put(place / "set/shard_0000/index.csv", HEADER, row(7, "a.pdb"))
    path = place / "set/shard_0001/index.csv"
    path.unlink() if rows is None else put(path, *rows)
    with pytest.raises(FewstepError, match=r"shard_0001 is no shard of samples") as error:
        merged(place)
    assert len(str(error.value).splitlines()) == 1
    assert {path.name for path in (place / "set").iterdir()} == {"shard_0000", "shard_0001"}


WRONG = {
    "a sample of 5,000 digits": [HEADER, changed(sample="9" * 5000)],
    "a sample in other digits": [HEADER, changed(sample="\u0663")],
    "a size of 5,000 digits": [HEADER, changed(length="9" * 5000)],
    "seconds are text": [HEADER, changed(seconds="abc")],
    "seconds are NaN": [HEADER, changed(seconds="nan")],
    "infinite seconds": [HEADER, changed(seconds="1e999")],
    "negative seconds": [HEADER, changed(seconds="-1")],
    "a seed beyond a table's": [HEADER, changed(seed=2**63)],
    "a file elsewhere": [HEADER, changed(file="../../mine.pdb")],
    "no file": [HEADER, changed(file="")],
    "a long field": [HEADER, changed(file="a" * 200_000)],
    "of another shard": [HEADER, row(1, "d.pdb")],
    "twice": [HEADER, row(3, "d.pdb"), row(3, "d.pdb")],
    "no number": [HEADER, row("-3", "d.pdb")],
    "cut off": [HEADER, [3, 44]],
}


@pytest.mark.parametrize("rows", WRONG.values(), ids=WRONG)
def test_a_wrong_table_is_named_and_nothing_written(place: Path, rows: list | None) -> None:
    path = place / "set/shard_0001/index.csv"
    path.unlink() if rows is None else put(path, *rows)
    with pytest.raises(FewstepError, match=r"shard_0001.index\.csv.*\*\.damaged") as error:
        merged(place)
    assert len(str(error.value).splitlines()) == 1
    left = {
        path.name for path in (place / "set").iterdir() if not path.name.endswith(".fewstep-lock")
    }
    assert left == {"shard_0000", "shard_0001.damaged"}


@pytest.mark.parametrize("content", [b"sample,\xff\n", b'sample,"a\n3,4', b"sample\n\0\n"])
def test_binary_content_is_one_line(place: Path, content: bytes) -> None:
    (place / "set/shard_0001/index.csv").write_bytes(content)
    with pytest.raises(FewstepError, match="shard_0001"):
        merged(place)


def test_memory_does_not_grow_with_the_set(place: Path) -> None:
    """Ten times more shards."""
    peaks = []
    for per_length in (200, 2000):
        plan = {"per_length": per_length, "shard_size": 200}
        write_config(place / "run.yaml", generate=plan)
        for k in range(per_length // 100):
            rows = [row(n, f"{n}.pdb") for n in range(200 * k, 200 * (k + 1))]
            put(place / f"set/shard_{k:04d}/index.csv", HEADER, *rows)
        (place / "set/shard_0001/skipped.csv").unlink(missing_ok=True)
        merged_paths = place / "set/index.csv", place / "set/skipped.csv"
        tracemalloc.start()
        merge(place / "run.yaml", place / "set", *merged_paths)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks
