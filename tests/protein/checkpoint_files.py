"""Checkpoints that the tests write, and how a reader must refuse them."""

import zipfile
from pathlib import Path

import pytest
import torch

from domains.errors import FewstepError
from domains.protein.checkpoint.proteina import read_checkpoint

__all__ = ["golden_files", "refused", "rewrite", "save", "weights"]


def golden_files(golden: Path, pattern: str) -> list[Path]:
    files = sorted((golden / "protein/ckpt").glob(pattern))
    assert files, f"no {pattern}"
    return files


def weights(scale: float = 1.0) -> dict[str, torch.Tensor]:
    return {
        "linear_3d_embed.weight": scale * torch.arange(6.0).reshape(2, 3),
        "transformer_layers.0.bias": torch.full((4,), scale),
    }


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def rewrite(source: Path, target: Path, change, compression: int = zipfile.ZIP_STORED) -> Path:
    """Copy an archive; ``change(name, data)`` gives new entries or None to leave one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            if (entry := change(name, old.read(name))) is not None:
                new.writestr(*entry)
    return target


def refused(path: Path, message: str = "[.]", **options: float) -> str:
    with pytest.raises(FewstepError, match=message) as error:
        read_checkpoint(path, **options)
    text = str(error.value)
    assert "\n" not in text and len(text) < 700
    return text
