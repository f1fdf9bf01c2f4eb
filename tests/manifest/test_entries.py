"""Contract: a manifest that breaks the form of an entry is refused, and the part is named."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_files import described

from domains.errors import FewstepError
from domains.manifest.entries import Member
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
    with pytest.raises(FewstepError):
        load_manifest(tmp_path / "nowhere.yaml")


def test_member_may_not_leave_its_archive() -> None:
    for path in ("/etc/passwd", "a/../../b", "..\\b"):
        with pytest.raises(ValueError, match="path"):
            Member(path=path, sha256="0" * 64, size=1)
