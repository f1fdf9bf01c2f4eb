"""Contract: a manifest that breaks the form of an entry is refused, and the part is named."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_files import described

from domains.errors import FewstepError
from domains.manifest.entries import Manifest, Member
from domains.manifest.table import load_manifest


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"sha256": "abc"}, "sha256"),
        ({"size": 0}, "size"),
        ({"licence": ""}, "licence"),
        ({"stage": "cook"}, "stage"),
        ({"kind": "torrent"}, "torrent"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"file": "../thing"}, "file"),
        ({"file": "-o"}, "file"),
    ],
)
def test_wrong_entry_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    good = described(kind="url", url="https://example.org/x", file="x")
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump({"entries": [good]}))
    assert load_manifest(path).entries[0].id == "thing"
    path.write_text(yaml.safe_dump({"entries": [{**good, **change}]}))
    with pytest.raises(FewstepError, match=named) as caught:
        load_manifest(path)
    assert "\n" not in str(caught.value)


def test_wrong_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    good = described(kind="url", url="https://example.org/x", file="x")
    for text in ("{", "", "entries: 3", "[]", yaml.safe_dump({"entries": [good, good]})):
        path.write_text(text)
        with pytest.raises(FewstepError):
            load_manifest(path)
    os.mkfifo(tmp_path / "pipe")
    for name in ("nowhere.yaml", "pipe", "."):
        with pytest.raises(FewstepError, match="can't read the manifest"):
            load_manifest(tmp_path / name)


HOSTILE = {
    "a number that is none": "entries: !!int x",
    "a date that is none": "entries: 2026-02-31",
    "a time that is none": "entries: 2026-02-03T25:61:61Z",
    "a tag": "entries: !!python/object/apply:os.system [touch hacked]",
    "a set": "entries: !!set {a, b}",
    "binary": "entries: !!binary '====='",
    "deep": "entries: " + "[" * 20_000 + "]" * 20_000,
    "a number of thousands of digits": "entries: " + "9" * 5000,
    "itself": "entries: &a [*a]",
    "a billion": "a: &a [1,1,1,1,1,1,1,1]\n"
    + "".join(f"{y}: &{y} [{', '.join([f'*{x}'] * 8)}]\n" for x, y in pairwise("abcdefghijk"))
    + "entries: *k\n",
    "a control character": "entries: \x07",
    "an unhashable key": "{[1]: 2}",
    "no text": "\udcff",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(FewstepError, match=r"m\.yaml") as error:
        load_manifest(path)
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 1000


def test_many_entries_take_no_time(tmp_path: Path) -> None:
    good = described(kind="url", url="https://example.org/x", file="x")
    many = [good | {"id": f"a{k}"} for k in range(20_000)]
    assert len(Manifest.model_validate({"entries": many}).entries) == 20_000


def test_member_may_not_leave_its_archive() -> None:
    for path in ("/etc/passwd", "a/../../b", "..\\b"):
        with pytest.raises(ValueError, match="path"):
            Member(path=path, sha256="0" * 64, size=1)
