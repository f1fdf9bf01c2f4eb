"""Contract: packed domains and SemanticKITTI sequences are whole, or one line says what is not.

A case is: what is wrong → the file, or a change of the directory → words of the line.
"""

import io
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hostile.readers import attempt
from lidar.data.test_semantic_kitti import write as write_sequence
from refusals import make_place

from domains.errors import FewstepError
from domains.lidar.data.semantic_kitti import open_sequence

WHOLE = {
    "steps_low": np.zeros((3, 4), "u1"),
    "steps_high": np.zeros((3, 4), "i1"),
    "lengths": np.array([4], "i4"),
    "ids": np.array([b"1abcA00"]),
    "cath": np.array([b"1.10.8.10"]),
    "split": np.array([0], "i1"),
    "sequences": np.full(4, ord("A"), "u1"),
}


def packed(**changes: Any) -> bytes:
    """A packed set with other arrays, or members of raw bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as box:
        for name, value in (WHOLE | changes).items():
            if not isinstance(value, bytes):
                member = io.BytesIO()
                np.save(member, value)
                value = member.getvalue()
            box.writestr(f"{name}.npy", value)
    return stream.getvalue()


def header(shape: str, kind: str = "'|u1'", body: bytes = b"") -> bytes:
    """The beginning of an array in numpy's format, as it may lie."""
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def damaged(place: int) -> bytes:
    """A packed set with a byte changed."""
    data = bytearray(packed())
    data[place] ^= 99
    return bytes(data)


def bomb() -> bytes:
    """Four times as many bytes as all of CATH, of zeros, said to be there in a small file."""
    data = bytearray(packed())
    place = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, place + 24, 2**31)
    return bytes(data)


DOMAINS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a zip file"),
    "text": (b"ATOM", "not a zip file"),
    "a pickle": (pickle.dumps(WHOLE), "not a zip file"),
    "one array": (header("(4,)", body=bytes(4)), "not a zip file"),
    "cut off": (packed()[:-30], "can't read"),
    "a bomb": (bomb(), "unpacks to"),
    "a flipped bit": (damaged(60), "can't read"),
    "another compression": (damaged(packed().rindex(b"PK\x01\x02") + 10), "can't read"),
    "an array missing": (
        packed(**{"ids": WHOLE["ids"]}).replace(b"ids.npy", b"idz.npy"), "isn't a packed set"),
    "objects": (packed(ids=np.array([{}], object)), "allow_pickle=False"),
    "a shape that is a program": (
        packed(steps_low=header("__import__('os').system('touch hacked')")), "malformed"),
    "a type that is a program": (
        packed(steps_low=header("(1,)", "'|O'", pickle.dumps(1))), "allow_pickle=False"),
    "a shape of terabytes": (packed(steps_low=header("(3, 1000000000000)")), "can't read"),
    "a shape of 10^20": (packed(steps_low=header("(99999999999999999999, 4)")), "can't read"),
    "a negative shape": (packed(steps_low=header("(-3, 4)")), "can't read"),
    "a shape of a thousand brackets": (packed(steps_low=header("(" * 1000)), "can't read"),
    "values of gigabytes": (packed(ids=header("(1,)", "'|S2000000000'")), "can't read"),
    "steps of another type": (packed(steps_low=np.zeros((3, 4), "f4")), "don't fit together"),
    "steps of too few residues": (packed(steps_low=np.zeros((3, 3), "u1")), "don't fit together"),
    "lengths that are negative": (packed(lengths=np.array([-4], "i4")), "don't fit together"),
    "lengths that are no list": (packed(lengths=np.int32(4)), "don't fit together"),
    "lengths of the other byte order": (packed(lengths=np.array([4], ">i4")), "don't fit together"),
    "lengths whose sum overflows": (
        packed(lengths=np.array([2**31 - 1] * 2 + [6], "i4"), ids=np.array([b"a", b"b", b"c"]),
               cath=np.array([b"1"] * 3), split=np.zeros(3, "i1")), "don't fit together"),
    "no domains": (packed(lengths=np.zeros(0, "i4")), "don't fit together"),
    "two domains of one name": (
        packed(lengths=np.array([2, 2], "i4"), ids=np.array([b"a", b"a"]),
               cath=np.array([b"1"] * 2), split=np.zeros(2, "i1")), "don't fit together"),
    "an unknown split": (packed(split=np.array([3], "i1")), "don't fit together"),
    "sequences that are no text": (packed(sequences=np.full(4, 200, "u1")), "don't fit together"),
    "names that are no text": (packed(ids=np.array([b"\xff"])), "don't fit together"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), DOMAINS.values(), ids=DOMAINS)
def test_domains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    line = attempt("domains", content, tmp_path)
    assert line and any(word in line for word in words.split("|")), line
    assert not Path("hacked").exists()


def test_the_whole_set_is_read(tmp_path: Path) -> None:
    """Else the table above would prove nothing."""
    assert attempt("domains", packed(), tmp_path) is None


# SemanticKITTI: what is more than in ``lidar/test_semantic_kitti.py``


def text(name: str, content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda directory: (directory / name).write_bytes(data)


def gone(name: str) -> Callable[[Path], object]:
    return lambda directory: shutil.rmtree(directory / name)


POSE = "1 0 0 0 0 1 0 0 0 0 1 0\n"
SEQUENCES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no scans": (gone("velodyne"), "no velodyne"),
    "no label files": (lambda d: [p.unlink() for p in d.glob("labels/*")], "no labels"),
    "a pose too many": (text("poses.txt", POSE * 3), "expected 2 entries"),
    "poses in binary": (text("poses.txt", bytes(range(256))), "can't read"),
    "infinite poses": (text("poses.txt", POSE.replace("1", "inf") * 2), "no rigid motion"),
    "poses 10^300 m away": (
        text("poses.txt", "1 0 0 1e300 0 1 0 0 0 0 1 0\n" * 2), "poses.txt"),
    "a pose of thirteen numbers": (text("poses.txt", "1 " + POSE * 2), "doesn't parse"),
    "a pose with a comma": (text("poses.txt", POSE.replace("0 0", "0,0", 1) * 2), "doesn't parse"),
    "poses that are a directory": (
        lambda d: ((d / "poses.txt").unlink(), (d / "poses.txt").mkdir()), "can't read"),
    "an empty calibration": (text("calib.txt", ""), "no calibration"),
    "a calibration of words": (text("calib.txt", "Tr: " + "x " * 12), "doesn't parse"),
    "a calibration of NaN": (text("calib.txt", "Tr: " + "nan " * 12), "no rigid motion"),
    "a calibration of zeros": (text("calib.txt", "Tr: " + "0 " * 12), "no rigid motion"),
    "a calibration that shears": (
        text("calib.txt", "Tr: 1 1 0 0 0 1 0 0 0 0 1 0\n"), "no rigid motion"),
    "a calibration of the wrong name": (text("calib.txt", "Tr_velo: " + POSE), "no calibration"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), SEQUENCES.values(), ids=SEQUENCES)
def test_sequences(tmp_path: Path, damage: Callable[[Path], object], words: str) -> None:
    directory = write_sequence(tmp_path / "00")
    damage(directory)
    with pytest.raises(FewstepError) as error:
        open_sequence(directory)
    assert words in str(error.value) and len(str(error.value).splitlines()) == 1


CITIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no directory": (shutil.rmtree, "no sequences"),
    "no sequences": (gone("sequences"), "no sequences"),
    "another sequence": (lambda d: (d / "sequences/08").rename(d / "sequences/09"), "velodyne"),
    "no poses": (lambda d: (d / "sequences/08/poses.txt").unlink(), "no poses in"),
    "no label files": (
        lambda d: [p.unlink() for p in d.glob("sequences/08/labels/*")], "no labels"),
    "scans that are links to themselves": (
        lambda d: [(p.unlink(), p.symlink_to(p)) for p in d.glob("sequences/08/velodyne/*")],
        "can't"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), CITIES.values(), ids=CITIES)
def test_generate_refuses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
    damage: Callable[[Path], object],
    words: str,
) -> None:
    """Held-out scenes through the command line; a sequence's name may be of any letters."""
    city = tmp_path / "a 'city' $(touch hacked)\nü"
    write_sequence(city / "sequences/08")
    damage(city)
    (tmp_path / "teacher").mkdir()
    place = make_place(tmp_path / "run", tmp_path / "teacher", monkeypatch, capfd)
    facts = {"name": "tiny", "domain": "lidar", "teacher": "teacher", "data": {"path": str(city)}}
    sets = {"data": {"model": "data"}}
    settings = {**facts, "generate": {"scenes": 1}, "sets": sets}
    (place / "c.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    options = ("--config", place / "c.yaml", "--set-name", "data", "--shard", 0)
    line = place.refused("generate", *options, "--output", place / "out")
    assert any(word in line for word in words.split("|")), line
    assert not Path("hacked").exists()
