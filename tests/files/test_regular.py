"""Contract: JSON that anybody may have changed is an object of sane depth and finite numbers."""

import os
from pathlib import Path

import pytest

from domains.files.regular import read_json_object

WRONG = {
    "empty": b"",
    "a list": b"[1]",
    "a number": b"1",
    "binary": b"\xff\x00\xfe",
    "cut": b'{"a": [1',
    "deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deeper than can be walked": b'{"a":' + b"[" * 700 + b"]" * 700 + b"}",
    "deep objects": b'{"a":' * 700 + b"1" + b"}" * 700,
    "NaN": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "too large": b'{"a": 1e999}',
    "a number of thousands of digits": b'{"a": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_wrong_content_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_json_object(tmp_path / "a.json")
    assert len(str(error.value)) < 400


def test_what_is_no_file_is_an_os_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("link")
    for name in ("pipe", "link", "nothing", "."):
        with pytest.raises(OSError):
            read_json_object(tmp_path / name)
    with pytest.raises(OSError):
        read_json_object(Path("/dev/zero"))


def test_an_object_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, null, {"b": "ü", "c": -1.5e3}], "d": {}}')
    assert read_json_object(tmp_path / "a.json") == {
        "a": [1, None, {"b": "ü", "c": -1500.0}],
        "d": {},
    }
