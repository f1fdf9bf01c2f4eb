"""Contract: a batch too large for memory is sampled in halves, and its samples stay the same."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from tiny_run import write_config

from domains.batch import Batch, Request
from domains.config import load_config
from domains.field import load_field
from domains.memory import out_of_memory
from domains.protein.field import ProteinField
from domains.stages.generate import generate
from domains.stages.sampling import Sampling


def allocate() -> None:
    """Ask for more than any machine has: torch's own error."""
    torch.empty(1 << 50, dtype=torch.uint8)


def fail(error: Exception) -> Callable[[], None]:
    def now() -> None:
        raise error

    return now


ERRORS = {
    "CPU": allocate,
    "CUDA": fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")),
    "cuBLAS": fail(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling")),
    "Python": fail(MemoryError()),
}


def exhaust(patch: pytest.MonkeyPatch, most: int, run_out: Callable[[], None]) -> list[int]:
    """Let batches of more than ``most`` samples run out of memory; returns sizes of batches."""
    encode, tried = ProteinField.encode, []

    def small(self: ProteinField, denoiser: Any, batch: Batch) -> Batch:
        tried.append(len(batch.mask))
        if len(batch.mask) > most:
            run_out()
        return encode(self, denoiser, batch)

    patch.setattr(ProteinField, "encode", small)
    return tried


def sample(directory: Path, teacher: Path) -> dict[str, bytes]:
    """Sample six chains of one length; their files."""
    config = write_config(
        directory / "run.yaml", generate={"lengths": [40], "per_length": 6, "shard_size": 6}
    )
    generate(config, "naive", 0, directory / "shard", teacher)
    return {path.name: path.read_bytes() for path in (directory / "shard").glob("*.pdb")}


@pytest.mark.parametrize("run_out", ERRORS.values(), ids=ERRORS)
def test_halves_give_the_same_samples(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch, run_out: Callable[[], None]
) -> None:
    (tmp_path / "whole").mkdir()
    whole = sample(tmp_path / "whole", teacher)
    tried = exhaust(monkeypatch, 1, run_out)
    assert sample(tmp_path, teacher) == whole and len(whole) == 6
    assert tried == [6, 3, 1, 2, 1, 1, 3, 1, 2, 1, 1]
    assert list(pd.read_csv(tmp_path / "shard/index.csv")["sample"]) == list(range(6))
    assert not (tmp_path / "shard/skipped.csv").exists()


def test_what_fits_in_no_memory_is_skipped_with_its_reason(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exhaust(monkeypatch, 0, allocate)
    assert sample(tmp_path, teacher) == {}
    assert pd.read_csv(tmp_path / "shard/index.csv").empty
    skipped = pd.read_csv(tmp_path / "shard/skipped.csv")
    assert list(skipped["sample"]) == list(range(6))
    assert skipped["reason"].str.contains("sample_.*out of memory.*DefaultCPUAllocator").all()


def test_other_errors_are_not_taken_for_it(
    tmp_path: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exhaust(monkeypatch, 0, fail(RuntimeError("shapes do not match")))
    with pytest.raises(RuntimeError, match="shapes"):
        sample(tmp_path, teacher)
    assert not out_of_memory(OSError("out of memory"))


def test_a_sample_does_not_depend_on_its_batch(tmp_path: Path, teacher: Path) -> None:
    """To rounding, which a trained Proteina's distance bins enlarge (reliability.md)."""
    settings, domain = load_config(write_config(tmp_path / "c.yaml")), load_field("protein")
    network = domain.load(teacher).eval()
    sampling = Sampling(domain, network, settings.sample_set("naive"), seed=0)
    asked = {number: Request(f"sample_{number}", 44) for number in range(7)}
    together = sampling.samples(asked)
    for number, request in asked.items():
        alone = sampling.samples({number: request})[number]
        torch.testing.assert_close(alone.points, together[number].points, rtol=0, atol=1e-6)


def test_peak_memory_remembers_what_was_given_back() -> None:
    program = (
        "from domains.memory import peak_memory; before = peak_memory();"
        "held = b'x' * 300_000_000; del held; print(before, peak_memory())"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    before, after = map(float, said.stdout.split())
    assert 0 < before < 0.2 and 0.29 < after - before < 0.35
