"""Contract: the merged table is the union of the shards', or nothing; memory is a shard's.

A shard that is another's stays where it is; one whose tables are damaged is set aside.
"""

import csv
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from shard_files import put_shard, put_table, row
from tiny_run import save_teacher, write_config

from domains.errors import FewstepError
from domains.files.provenance import sha256
from domains.stages.merge import merge
from domains.stages.shard_index import COLUMNS, INDEX

HEADER = list(COLUMNS[INDEX])
LOST = [2, 'not "there"']


def put(place: Path, number: int, *made: list, skipped: tuple = (), **facts: Any) -> None:
    """Write a shard of two samples."""
    numbers = range(2 * number, 2 * number + 2)
    shard = place / f"set/shard_{number:04d}"
    put_shard(shard, place / "run.yaml", numbers, made, skipped, **facts)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two shards of two samples, of which the second lacks one."""
    write_config(tmp_path / "run.yaml")
    put(tmp_path, 0, row(0, "a.pdb"), row(1, "b, c.pdb"))
    put(tmp_path, 1, row(3, "d.pdb"), skipped=(LOST,))
    return tmp_path


def merged(place: Path, model: Path | None = None) -> tuple[list, list]:
    """Rows of the two tables."""
    paths = place / "set/index.csv", place / "set/skipped.csv"
    merge(place / "run.yaml", "naive", place / "set", *paths, model)
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
    put(place, 1, row(2, "c.pdb"), row(3, "d.pdb"))
    assert merged(place)[1] == [["sample", "reason", "shard"]]


def test_a_shard_may_be_empty(place: Path) -> None:
    """Held-out data can run out."""
    put(place, 1, skipped=(LOST, [3, "none"]))
    index, skipped = merged(place)
    assert len(index) == len(skipped) == 3


def test_shards_of_another_plan_are_left_out(place: Path) -> None:
    put_table(place / "set/shard_0002/index.csv", HEADER, row(4, "e.pdb"))
    put_table(place / "set/shard_0001.damaged/index.csv", HEADER, row(3, "e.pdb"))
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
    put(place, 0, row(7, "a.pdb"))
    path = place / "set/shard_0001/index.csv"
    path.unlink() if rows is None else put_table(path, *rows)
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
    "neither made nor skipped": [HEADER],
    "made and skipped": [HEADER, row(2, "c.pdb"), row(3, "d.pdb")],
    "twice": [HEADER, row(3, "d.pdb"), row(3, "d.pdb")],
    "no number": [HEADER, row("-3", "d.pdb")],
    "cut off": [HEADER, [3, 44]],
}


@pytest.mark.parametrize("rows", WRONG.values(), ids=WRONG)
def test_a_wrong_table_is_named_and_nothing_written(place: Path, rows: list) -> None:
    """Even if it is the one that was written."""
    put(place, 1, *rows, skipped=(LOST,))
    set_aside(place, "shard_0001")


def set_aside(place: Path, shard: str, said: str = "") -> None:
    """Assert that merging moves the second shard aside, says so, and writes nothing."""
    with pytest.raises(FewstepError, match=rf"{shard}.*{said}.*\*\.damaged") as error:
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


@pytest.mark.parametrize("name", ["index.csv", "skipped.csv"])
def test_every_flipped_bit_of_a_table_is_noticed(place: Path, name: str) -> None:
    """Another digit in seconds, or in a reason, can be told from nothing else."""
    path = place / "set/shard_0001" / name
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.7").replace(b"there", b"these"))
    set_aside(place, "shard_0001", f"{name} is not the table that was written")


def test_a_table_cut_at_the_end_of_a_line_is_noticed(place: Path) -> None:
    path = place / "set/shard_0001/index.csv"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    set_aside(place, "shard_0001", "is not the table")


@pytest.mark.parametrize("said", [None, "{", "[]", '{"format": "fewstep-shard-1"}'])
def test_a_shard_that_does_not_say_whose_it_is_is_set_aside(place: Path, said: str | None) -> None:
    """One of an earlier version, too."""
    path = place / "set/shard_0001/shard.json"
    path.unlink() if said is None else path.write_text(said)
    set_aside(place, "shard_0001")


OTHERS_SHARDS: dict[str, tuple[dict[str, Any], str]] = {
    "of another run": ({"run": "tinier"}, "expected run tiny, got tinier"),
    "of another set": ({"set_name": "student_2"}, "expected set naive, got student_2"),
    "of another seed": ({"seed": 4}, "expected seed 3, got 4"),
    "of another part": ({"samples": [0, 2]}, r"expected samples \[2, 4\], got \[0, 2\]"),
    "of another plan": ({"plan": "0" * 16}, "expected plan .*, got 0000"),
    "of another sampler": ({"sampling": "0" * 16}, "expected sampling .*, got 0000"),
    "of other data": ({"data": "0" * 16}, "expected data .*, got 0000"),
    "of another model": ({"model_sha256": "0" * 64}, "expected model_sha256 None, got 0000"),
}


@pytest.mark.parametrize(("facts", "said"), OTHERS_SHARDS.values(), ids=OTHERS_SHARDS)
def test_a_shard_of_another_is_refused_and_left(place: Path, facts: dict, said: str) -> None:
    """Though its tables would fit."""
    put(place, 1, row(2, "c.pdb"), row(3, "d.pdb"), **facts)
    with pytest.raises(FewstepError, match=f"shard_0001 is another's: {said}") as error:
        merged(place)
    assert len(str(error.value).splitlines()) == 1
    assert {path.name for path in (place / "set").iterdir()} == {"shard_0000", "shard_0001"}


def test_samples_are_of_the_model_that_is_there(place: Path) -> None:
    model = save_teacher(place / "model")
    digest = sha256(model / "model.safetensors")
    for number in range(2):
        rows = [row(k, f"{k}.pdb") for k in (2 * number, 2 * number + 1)]
        put(place, number, *rows, model_sha256=digest)
    assert len(merged(place, model)[0]) == 5
    with pytest.raises(FewstepError, match="can't read the model in"):
        merged(place, place / "none")
    save_teacher(model, seed=1)  # in place
    with pytest.raises(FewstepError, match="shard_0000 is another's: expected model_sha256"):
        merged(place, model)


def test_settings_that_decide_no_sample_are_no_other_shard(place: Path) -> None:
    settings = {"naive": {"label": "x", "reference": True}}
    write_config(place / "run.yaml", sets=settings, title="x", evaluate={"gallery": 1})
    assert len(merged(place)[0]) == 4
    assert json.loads((place / "set/shard_0000/shard.json").read_text())["run"] == "tiny"


def test_memory_does_not_grow_with_the_set(place: Path) -> None:
    """Ten times more shards."""
    peaks = []
    for per_length in (200, 2000):
        plan = {"per_length": per_length, "shard_size": 200}
        write_config(place / "run.yaml", generate=plan)
        for k in range(per_length // 100):
            part = range(200 * k, 200 * (k + 1))
            rows = [row(n, f"{n}.pdb") for n in part]
            put_shard(place / f"set/shard_{k:04d}", place / "run.yaml", part, rows)
        merged_paths = place / "set/index.csv", place / "set/skipped.csv"
        tracemalloc.start()
        merge(place / "run.yaml", "naive", place / "set", *merged_paths)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], peaks
