"""Contract: no pickle in a checkpoint runs anything, hangs, or ends the process.

A case is: how it tries → the program → words of the line that refuses it.
"""

import os
import pickle
import struct
from pathlib import Path

import pytest
from hostile.readers import archive, attempt, nothing_runs
from refusals import Place

from domains.errors import FewstepError
from domains.field import load_field


def text(word: str) -> bytes:
    """A string, in pickle."""
    return b"X" + struct.pack("<I", len(word)) + word.encode()


SYSTEM, RUN = b"cposix\nsystem\n", text("touch hacked")
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


def storage(count: int, key: str = "0", place: str = "cpu") -> bytes:
    """A reference to a storage, in pickle."""
    parts = [text("storage"), b"ctorch\nFloatStorage\n", text(key), text(place)]
    number = b"\x8a" + bytes([9]) + count.to_bytes(9, "little", signed=True)
    return b"(" + b"".join(parts) + number + b"tQ"


def tensor(size: bytes, stride: bytes, offset: bytes = b"K\x00", held: int = 4) -> bytes:
    """A state dict of one tensor, in pickle."""
    made = TENSOR + b"(" + storage(held) + offset + size + stride + b"\x89}tR"
    return b"\x80\x02}" + text("transformer_layers.0.w") + made + b"s."


def settings(held: bytes) -> bytes:
    """Weights, and beside them ``lora.lora_alpha`` of the settings, in pickle."""
    weights = tensor(b"K\x04\x85", b"K\x01\x85")[2:-1]
    keys = ["hyper_parameters", "cfg_exp", "lora", "lora_alpha"]
    inner = b"".join(b"}" + text(key) for key in keys[1:]) + held + b"sss"
    return b"\x80\x02}" + text("state_dict") + weights + b"s" + text(keys[0]) + inner + b"s."


def doubled(times: int, holds: bytes) -> bytes:
    """Objects that each hold the one before twice: the last has 2^times leaves."""
    made = [b"h" + bytes([k]) + holds.replace(b"?", b"h" + bytes([k])) for k in range(times)]
    return b"".join(part + b"q" + bytes([k + 1]) for k, part in enumerate(made))


PROGRAMS: dict[str, tuple[bytes, str]] = {
    # Every way in which a pickle calls something.
    "REDUCE": (b"\x80\x02" + SYSTEM + RUN + b"\x85R.", "a pickled object"),
    "REDUCE of a stacked name": (b"\x80\x04" + text("os") + text("system") + b"\x93" + RUN
                                 + b"\x85R.", "a pickled object"),
    "INST": (b"(" + RUN + b"iposix\nsystem\n.", "a pickled object"),
    "OBJ": (b"(" + SYSTEM + RUN + b"o.", "a pickled object"),
    "NEWOBJ": (b"\x80\x02" + SYSTEM + RUN + b"\x85\x81.", "a pickled object"),
    "NEWOBJ_EX": (b"\x80\x04" + SYSTEM + RUN + b"\x85}\x92.", "a pickled object"),
    "BUILD": (b"\x80\x02" + SYSTEM + b")R}" + text("x") + RUN + b"sb.", "a pickled object"),
    "BUILD of a class": (b"\x80\x02" + SYSTEM + b"}b.", "can't read"),
    "BUILD of slots": (b"\x80\x02" + SYSTEM + b")RN}" + text("__class__") + SYSTEM
                       + b"s\x86b.", "a pickled object"),
    "EXT1": (b"\x80\x02\x82\x01.", "can't read"),
    "APPEND to a class": (b"\x80\x02" + SYSTEM + RUN + b"a.", "a pickled object"),
    "SETITEM in a class": (b"\x80\x02" + SYSTEM + RUN + RUN + b"s.", "can't read"),
    "eval": (b"\x80\x02cbuiltins\neval\n" + text("open('hacked', 'w')") + b"\x85R.",
             "a pickled object"),
    "getattr": (b"\x80\x02cbuiltins\ngetattr\n" + text("x") + RUN + b"\x86R.", "a pickled object"),
    "__import__": (b"\x80\x02c__builtin__\n__import__\n" + text("antigravity") + b"\x85R.",
                   "a pickled object"),
    "a name with dots": (b"\x80\x04" + text("torch") + text("load.__globals__") + b"\x93.",
                         "a pickled object"),
    "a module that loads pickles": (b"\x80\x02ctorch.serialization\nload\n" + RUN + b"\x85R.",
                                    "a pickled object"),
    "a partial": (b"\x80\x02cfunctools\npartial\n" + SYSTEM + RUN + b"\x86R)R.",
                  "a pickled object"),
    "hidden among weights": (b"\x80\x02}" + text("transformer_layers.0.w") + SYSTEM + RUN
                             + b"\x85Rs.", "a pickled object"),
    "hidden in the settings": (settings(SYSTEM + RUN + b"\x85R"), "unknown class"),
    "attributes of what is trusted": (b"\x80\x02" + TENSOR + b"N}" + text("__code__") + SYSTEM
                                      + b"s\x86b.", "can't read"),
    "state of a dictionary's class": (b"\x80\x02cbuiltins\ndict\n}" + text("get") + SYSTEM
                                      + b"sb.", "can't read"),
    # Programs that take memory or time.
    "tuples that double, as a key": (b"\x80\x02})q\0" + doubled(60, b"?\x86") + b"Ns.", "absurd"),
    "lists that double": (b"\x80\x02]q\0" + doubled(60, b"(?]h\0e"), "damaged|absurd"),
    "dictionaries that double": (
        b"\x80\x02}" + text("hyper_parameters") + b"}q\0"
        + b"".join(b"}(K\0h" + bytes([k]) + b"K\1h" + bytes([k]) + b"uq" + bytes([k + 1])
                   for k in range(60)) + b"s.", "absurd"),
    "a tuple a million deep": (b"\x80\x02})" + b"\x85" * 1_000_000 + b"Ns.", "absurd"),
    "lists 100,000 deep": (b"\x80\x02" + b"(" * 100_000 + b"l" * 100_000 + b".", "absurd"),
    "a memo of gigabytes": (b"\x80\x02}r\xff\xff\xff\x7f.", "absurd"),
    "a string of gigabytes": (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b".", "unpickled"),
    "a frame of gigabytes": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b".", "unpickled"),
    "a number of thousands of digits": (
        settings(b"\x8b" + struct.pack("<i", 5000) + b"\x7f" * 5000), "lora_alpha"),
    # Tensors that reach beyond what is there.
    "a tensor beyond its storage": (tensor(b"K\x64\x85", b"K\x01\x85"), "can't read"),
    "a tensor of a trillion": (tensor(b"\x8a\x06\0\0\0\0\0\1\x85", b"K\x01\x85"), "can't read"),
    "a view of a trillion": (tensor(b"\x8a\x06\0\0\0\0\0\1\x85", b"K\x00\x85"), "more memory"),
    "a negative size": (tensor(b"J\xff\xff\xff\xff\x85", b"K\x01\x85"), "can't read"),
    "a negative stride": (tensor(b"K\x02\x85", b"J\xff\xff\xff\xff\x85"), "can't read"),
    "a negative offset": (tensor(b"K\x01\x85", b"K\x01\x85", b"J\xff\xff\xff\xff"), "can't read"),
    "a size of another rank": (tensor(b"K\x01K\x01\x86", b"K\x01\x85"), "can't read"),
    "a tensor of a storage of more than the file": (
        tensor(b"M\xff\xff\x85", b"K\x01\x85", held=1 << 60), "can't read"),
    "a storage of negative size": (tensor(b"K\x04\x85", b"K\x01\x85", held=-4), "can't read"),
    "a storage that is elsewhere": (b"\x80\x02}" + text("x") + storage(4, "../../etc") + b"s.",
                                    "can't read"),
    "a storage on a device": (b"\x80\x02}" + text("x") + storage(4, place="cuda:99") + b"s.",
                              "can't read|more than tensors"),
    "a storage of no kind": (b"\x80\x02(" + text("storage") + SYSTEM + b"tQ.", "can't read"),
    "no tensors": (b"\x80\x02}.", "no weights"),
    "names that are no text": (b"\x80\x02}K\x01K\x02s.", "more than tensors"),
    "a number": (b"\x80\x02K\x05.", "not plain weights"),
    "no end": (b"\x80\x02}", "unpickled"),
    "nothing": (b"", "unpickled"),
    "text": (b"weights", "unpickled"),
}  # fmt: skip


@pytest.mark.parametrize(("program", "words"), PROGRAMS.values(), ids=PROGRAMS)
def test_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: bytes, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    attempt("program", b"\x80\x02}.", tmp_path)  # what is imported late is imported now
    with nothing_runs():
        line = attempt("program", program, tmp_path)
    assert line and any(word in line for word in words.split("|")), line
    assert not Path("hacked").exists()


def test_the_watch_sees_what_an_ordinary_unpickler_runs(tmp_path: Path) -> None:
    """Else the table above would prove nothing."""
    for name in ("REDUCE", "INST", "OBJ", "eval", "__import__"):
        with pytest.raises(AssertionError, match="something ran"), nothing_runs():
            pickle.loads(PROGRAMS[name][0])


# The same through the command line, for each of the two fields


@pytest.mark.parametrize("domain", ["protein", "lidar"])
@pytest.mark.parametrize("name", ["REDUCE", "OBJ", "tuples that double, as a key"])
def test_prepare_refuses(place: Place, name: str, domain: str) -> None:
    (place / "a.ckpt").write_bytes(archive(PROGRAMS[name][0]))
    options = ("--domain", domain, "--output", place / "out")
    line = place.refused("prepare", "--source", place / "a.ckpt", *options)
    assert "a.ckpt" in line and not Path("hacked").exists()


def test_a_deep_archive_in_a_directory_of_files(tmp_path: Path) -> None:
    """LiDAR teachers may come in several files; each is held to the same."""
    (tmp_path / "a.ckpt").write_bytes(archive(PROGRAMS["a tuple a million deep"][0]))
    os.symlink(tmp_path / "a.ckpt", tmp_path / "b.ckpt")
    with pytest.raises(FewstepError, match="absurd"):
        load_field("lidar").prepare(tmp_path, tmp_path / "out", {})
