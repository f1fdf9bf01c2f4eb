"""Every reader of foreign files: bytes in; out comes a value, or one line that says what is wrong.

The tables, the properties, the fuzz target and the corpus all go through ``attempt``.
"""

import codecs
import io
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from domains.config import load_config
from domains.errors import FewstepError
from domains.files.architecture import read_architecture
from domains.files.model_files import read_pair
from domains.lidar.checkpoint import read_teacher
from domains.lidar.data.semantic_kitti import open_sequence
from domains.lidar.files import read_points
from domains.protein.checkpoint.proteina import read_checkpoint
from domains.protein.conditions.joint import JointDistribution
from domains.protein.data.cath import CathMapping
from domains.protein.data.dataset import load_domains
from domains.protein.files.structure import read_chains

__all__ = ["READERS", "Reader", "archive", "attempt", "nothing_runs"]

LONGEST_LINE = 1000
# What a program that has got in would do; reading a file does none of it.
FORBIDDEN = (
    *("exec", "compile", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "code."),
    *("pickle.find_class", "import", "builtins.", "webbrowser.", "signal.", "marshal."),
)
# Reading lists directories.
ALLOWED = ("os.listdir", "os.scandir", "builtins.id")


class Reader(NamedTuple):
    """How bytes become a file, and how it is read."""

    file: str
    read: Callable[[Path], object]
    wrap: Callable[[bytes], bytes] = bytes


def archive(program: bytes) -> bytes:
    """Return an archive of torch.save around a pickle program, with one storage of 16 bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as box:
        for name, data in {"data.pkl": program, "data/0": bytes(16), "version": b"3\n"}.items():
            box.writestr(f"a/{name}", data)
    return stream.getvalue()


def _sequence(path: Path) -> object:
    """Read ``poses.txt`` or ``calib.txt`` beside a good other one and a scan."""
    if not (path.parent / "velodyne").exists():
        (path.parent / "velodyne").mkdir()
        (path.parent / "velodyne/0.bin").write_bytes(bytes(16))
    for name, text in {"poses.txt": _STILL, "calib.txt": f"Tr: {_STILL}"}.items():
        if name != path.name:
            (path.parent / name).write_text(text)
    return open_sequence(path.parent, labelled=False)


def _labels(path: Path) -> object:
    """Read ``0.label`` beside a scan of four points."""
    sequence = path.parent / "sequence"
    for part in ("velodyne", "labels"):
        (sequence / part).mkdir(parents=True, exist_ok=True)
    (sequence / "velodyne/0.bin").write_bytes(bytes(64))
    for name in ("poses.txt", "calib.txt"):
        (sequence / name).write_text("Tr: "[: 4 * (name == "calib.txt")] + _STILL)
    (sequence / "labels/0.label").write_bytes(path.read_bytes())
    return open_sequence(sequence).labelled(0)


_STILL = "1 0 0 0 0 1 0 0 0 0 1 0\n"
READERS = {
    "config": Reader("run.yaml", load_config),
    "archive": Reader("teacher.ckpt", read_checkpoint),
    "program": Reader("teacher.ckpt", read_checkpoint, archive),
    "scenes": Reader("teacher.ckpt", lambda path: read_teacher(path, {}), archive),
    "weights": Reader(
        "a.safetensors", lambda path: read_pair(path, path.with_suffix(".json"), required=False)
    ),
    "architecture": Reader("a.json", read_architecture),
    "pdb": Reader("a.pdb", read_chains),
    "cif": Reader("a.cif", read_chains),
    "ply": Reader("a.ply", read_points),
    "pcd": Reader("a.pcd", read_points),
    "bin": Reader("a.bin", read_points),
    "nuscenes": Reader("a.pcd.bin", read_points),
    "labels": Reader("0.label", _labels),
    "domains": Reader("a.npz", load_domains),
    "folds": Reader("a.pth", JointDistribution.read, archive),
    "mapping": Reader("a.pt", CathMapping.read, archive),
    "poses": Reader("poses.txt", _sequence),
    "calibration": Reader("calib.txt", _sequence),
}


def attempt(name: str, data: bytes, directory: Path) -> str | None:
    """Read bytes; return the line of the refusal, or None if they were read.

    Any other error is a fault of this program and goes through.
    """
    reader = READERS[name]
    path = directory / reader.file
    path.write_bytes(reader.wrap(data))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)  # these are never shown
        try:
            reader.read(path)
            line = None
        except FewstepError as error:
            line = str(error)
            assert reader.file in line and len(line.splitlines()) == 1, line
            assert len(line) < LONGEST_LINE, line
    assert not warned, f"a second line: {warned[0].message}"
    return line


_watched = False
for codec in ("raw-unicode-escape", "unicode-escape", "latin-1", "ascii", "utf-8-sig", "utf-16"):
    codecs.lookup(codec)  # they are imported when first used: so now


def _watch(event: str, details: tuple[object, ...]) -> None:
    if _watched and event.startswith(FORBIDDEN) and event not in ALLOWED:
        raise AssertionError(f"something ran: {event} {details}"[:200])


sys.addaudithook(_watch)


@contextmanager
def nothing_runs() -> Iterator[None]:
    """Stop the test where anything is executed, started, imported, changed or connected to."""
    global _watched
    _watched = True
    try:
        yield
    finally:
        _watched = False
