"""Contract: nothing in an archive ever runs; whatever is wrong with it is one line of error."""

import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from protein.checkpoint_files import refused, rewrite, save, weights

from domains.errors import FewstepError
from domains.protein.checkpoint.proteina import read_checkpoint

# Hostile files: the marker must never appear


class Evil:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class EvilEval(Evil):
    def __reduce__(self):
        return eval, (f"open({str(self.marker)!r}, 'w')",)


@pytest.mark.parametrize("evil", [Evil, EvilEval])
@pytest.mark.parametrize("protocol", [2, 4])
def test_payloads_stay_inert(tmp_path, evil, protocol):
    marker = tmp_path / "ran"
    bomb, good = evil(marker), {"state_dict": weights()}
    harmless = {"a": good | {"callbacks": bomb, "optimizer_states": [bomb]}}
    deadly = {
        "b": bomb,
        "c": {"state_dict": bomb},
        "d": {"state_dict": weights() | {"x": bomb}},
        "e": weights() | {"x": bomb},
        "f": good | {"hyper_parameters": {"cfg_exp": {"model": {"nn": {"x": bomb}}}}},
        "g": [bomb],
    }
    for name, content in (harmless | deadly).items():
        path = tmp_path / f"{name}.ckpt"
        torch.save(content, path, pickle_protocol=protocol)
        if name in harmless:
            assert read_checkpoint(path).weights.keys() == weights().keys()
        else:
            refused(path)
        assert not marker.exists()
    # The payload is real: the ordinary unpickler does run it.
    pickle.loads(pickle.dumps(bomb))
    assert marker.exists()


def with_program(tmp_path: Path, program: bytes) -> Path:
    source = save(tmp_path / "source.pt", weights())
    return rewrite(
        source,
        tmp_path / "changed.pt",
        lambda name, data: (name, program if name.endswith("/data.pkl") else data),
    )


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.",
        b"\x80\x02cbuiltins\ngetattr\ncbuiltins\ndict\nX\x04\x00\x00\x00keys\x86R.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x02}", b"", b"\x00", b"garbage", b"\x80\x02N.", b"\x80\x02K\x05.",
    ],
)  # fmt: skip
def test_strange_programs_are_errors(tmp_path, program):
    refused(with_program(tmp_path, program))


def test_memo_slots_that_would_take_gigabytes_are_refused_unread(tmp_path):
    refused(with_program(tmp_path, b"\x80\x02}r\xff\xff\xff\x7f."), "absurd")


def test_pickled_modules_are_unsupported(tmp_path):
    refused(save(tmp_path / "a.pt", torch.nn.Linear(2, 2)), "Linear")
    refused(save(tmp_path / "b.pt", {"ema": torch.nn.Linear(2, 2)}), "Linear")
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"ema": Evil(tmp_path / "ran")}))
    refused(tmp_path / "c.pkl", "unsupported")
    (tmp_path / "d.pt").write_bytes(pickle.dumps({"ema": Evil(tmp_path / "ran")}))
    refused(tmp_path / "d.pt", "not a zip")
    assert not (tmp_path / "ran").exists()


def test_torchscript_never_reaches_its_loader(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("jit.load was called"))
    source = save(tmp_path / "a.pt", weights())
    path = rewrite(source, tmp_path / "b.pt", lambda name, data: (name, data))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].split('/')[0]}/constants.pkl", b"\x80\x02).")
    refused(path, "TorchScript")


def test_two_readers_must_see_one_archive(tmp_path):
    """A directory that starts elsewhere for torch than for Python is refused."""
    # Same entries, other programs: the archives differ only in what the pickle does.
    hidden = with_program(tmp_path, b"\x80\x02}.").read_bytes()
    shown = with_program(tmp_path, b"\x80\x02].").read_bytes()
    (tmp_path / "both.pt").write_bytes(hidden + shown)
    refused(tmp_path / "both.pt", "ambiguous")


# Damaged files


def test_every_truncation_is_an_error(tmp_path):
    whole = save(tmp_path / "a.pt", weights()).read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        (tmp_path / "b.pt").write_bytes(whole[: int(share * len(whole))])
        refused(tmp_path / "b.pt")
    (tmp_path / "b.pt").write_bytes(whole[:-1])
    refused(tmp_path / "b.pt")


def test_flipped_bytes_never_give_a_traceback(tmp_path):
    whole = save(tmp_path / "a.pt", weights()).read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        (tmp_path / "b.pt").write_bytes(damaged)
        try:
            read_checkpoint(tmp_path / "b.pt")
        except FewstepError as error:
            assert "\n" not in str(error)


def test_zip_bombs_are_errors(tmp_path):
    source = save(tmp_path / "a.pt", weights() | {"zeros": torch.zeros(3_000_000)})
    path = rewrite(source, tmp_path / "b.pt", lambda n, d: (n, d), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    refused(path, "unpacks")


def test_lying_sizes_in_the_directory_are_errors(tmp_path):
    data = bytearray(save(tmp_path / "a.pt", weights()).read_bytes())
    start = data.rindex(b"PK\x01\x02")
    struct.pack_into("<II", data, start + 20, 2**31, 2**31)
    (tmp_path / "a.pt").write_bytes(data)
    refused(tmp_path / "a.pt", "unpacks")


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "\\evil", "a/..\\..\\evil"]
)
def test_entries_outside_the_archive_are_errors(tmp_path, name):
    path = rewrite(save(tmp_path / "a.pt", weights()), tmp_path / "b.pt", lambda n, d: (n, d))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    refused(path, "outside the archive")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_foreign_and_double_entries_are_errors(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("readme.txt", b"hello")
    refused(tmp_path / "a.pt", "torch.save")
    path = rewrite(save(tmp_path / "b.pt", weights()), tmp_path / "c.pt", lambda n, d: (n, d))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"\x80\x02N.")
    refused(path, "torch.save")


def test_views_larger_than_their_storage_are_errors(tmp_path):
    huge = torch.zeros(1).expand(1 << 40)
    refused(save(tmp_path / "a.pt", weights() | {"huge": huge}), "more memory")


def test_missing_and_odd_paths_are_errors(tmp_path):
    refused(tmp_path / "no.ckpt", "no file")
    refused(tmp_path, "not a file")
    for content in (b"", b"P", b"PK\x03\x04", b"\x00" * 100, b"<html>not found</html>"):
        (tmp_path / "a.ckpt").write_bytes(content)
        refused(tmp_path / "a.ckpt", "zip|damaged")
