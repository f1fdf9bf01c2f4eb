"""Archives of torch.save, read without running anything that is in them.

They are zip files around a pickle, and a pickle is a program. It is read here by an
unpickler that knows only containers and tensors; every other name becomes an inert
stand-in, so neither omegaconf nor Lightning is needed and nothing foreign is called.
"""

import pickle
import types
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch._utils import _rebuild_tensor_v2

from domains.errors import FewstepError
from domains.files.pickle_program import MOST_TENSORS, check_program

__all__ = ["UNSAFE", "Inert", "check_archive", "check_count", "load_archive"]

UNSAFE = "Use a state_dict saved with torch.save, or a Lightning .ckpt"


class Inert:
    """Stands for any object of a class that is not trusted; keeps its state, does nothing."""

    origin = "an unknown class"
    state: Mapping[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        """Start with an empty state."""
        self = super().__new__(cls)
        self.state = {}
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Accept and ignore any arguments."""

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        """Return a stand-in for the call's result."""
        return Inert()

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def _ignore(self, *args: Any) -> None: ...

    __setitem__ = append = extend = add = _ignore


def load_archive(path: Path) -> Any:
    """Return the content of an archive: containers, numbers, mapped tensors and stand-ins.

    Args:
        path: A file in the zip form of torch.save.

    Raises:
        FewstepError: The file is damaged, dangerous, or of another kind.
    """
    check_archive(path)
    guard = types.SimpleNamespace(Unpickler=_GuardedUnpickler, __name__="guarded pickle")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an error is one line
            # Mapped, so that optimiser states, two thirds of a checkpoint, are never read.
            return torch.load(
                path, map_location="cpu", weights_only=False, pickle_module=guard, mmap=True
            )
    except Exception as error:  # A hostile file can fail anywhere.
        raise FewstepError(f"can't read {path}", got=str(error)[:200], do=UNSAFE) from error


def check_count(path: Path, count: int) -> None:
    """Refuse more tensors than any network has: each takes a while to look at, even an empty one.

    Raises:
        FewstepError: They are too many.
    """
    if count > MOST_TENSORS:
        raise FewstepError(
            f"{path} holds absurdly many tensors", expected=f"at most {MOST_TENSORS}", got=count
        )


class _Ordered(dict):
    """An ordered dictionary on which a pickle can set no attributes (such as ``items``)."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Drop the state: state dicts carry only module versions there."""


class _GuardedUnpickler(pickle.Unpickler):
    """Resolves a short list of harmless names; everything else becomes an inert class."""

    def find_class(self, module: str, name: str, /) -> Any:
        if (found := _harmless(module, name)) is not None:
            return found
        return type("Inert", (Inert,), {"origin": f"{module}.{name}"})


def _harmless(module: str, name: str) -> Any:
    if module in ("builtins", "__builtin__"):
        return {"dict": dict, "list": list, "int": int, "long": int}.get(name)
    if (module, name) == ("collections", "OrderedDict"):
        return _Ordered
    # Fresh functions each time: a pickle can set attributes on what it is handed.
    if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
        return lambda storage, offset, size, stride, *_: _rebuild_tensor_v2(
            storage, offset, size, stride, False, {}
        )
    if (module, name) == ("torch._utils", "_rebuild_parameter"):
        return lambda data, *_: data
    return None


def check_archive(path: Path) -> None:
    """Refuse anything but a plain zip of stored entries as torch.save writes it.

    Raises:
        FewstepError: The file is damaged, dangerous, or of another kind.
    """
    with path.open("rb") as stream:
        head = stream.read(4)
    if head != b"PK\x03\x04":
        kind = "a bare pickle (old torch format, or a whole module)" if head[:1] == b"\x80" else ""
        raise FewstepError(f"{path} is not a zip archive", got=kind or repr(head), do=UNSAFE)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(path, entries)
            root = entries[0].filename.partition("/")[0]
            program = archive.read(f"{root}/data.pkl")
        # torch's own reader must see the same archive, or what was checked is not what is
        # loaded: it would hand a TorchScript program to torch.jit.load, past the unpickler.
        reader = torch._C.PyTorchFileReader(str(path))
        names, seen = sorted(reader.get_all_records()), reader.get_record("data.pkl")
    except FewstepError:
        raise
    except Exception as error:  # A damaged file can raise anything inside zipfile and torch.
        raise FewstepError(
            f"{path} is damaged or cut short", got=str(error)[:200] or type(error).__name__
        ) from error
    _check_program(path, program)
    if seen != program or names != sorted(e.filename.partition("/")[2] for e in entries):
        raise FewstepError(f"{path} has an ambiguous archive directory", do=UNSAFE)


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    check_count(path, len(entries))
    names = [entry.filename for entry in entries]
    for name in names:
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise FewstepError(f"{path} has an entry outside the archive", got=repr(name))
    roots = {name.partition("/")[0] for name in names}
    inner = {name.partition("/")[2] for name in names}
    if len(roots) != 1 or len(inner) != len(names) or "data.pkl" not in inner:
        raise FewstepError(f"{path} is not written by torch.save", do=UNSAFE)
    if "constants.pkl" in inner:
        raise FewstepError(f"{path} is a TorchScript program", do=UNSAFE)
    # torch.save stores without compression, so the parts can't add up to more than the file.
    size, declared = path.stat().st_size, sum(entry.file_size for entry in entries)
    if declared > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise FewstepError(
            f"{path} unpacks to more than it holds",
            expected=f"at most {size} bytes, not compressed",
            got=f"{declared} bytes",
        )


def _check_program(path: Path, program: bytes) -> None:
    try:
        check_program(program)
    except ValueError as error:
        raise FewstepError(f"{path} can't be unpickled", got=error, do=UNSAFE) from error
