"""Contract: a public checkpoint, with adapters or without, becomes a teacher that a run can ask."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from protein.network.golden_files import arrays, assert_close, golden_networks
from tiny_run import write_config

from domains.domain import Batch, load_domain
from domains.errors import FewstepError
from domains.files.model_files import read_model
from domains.stages.generate import generate
from domains.stages.prepare import prepare

# The labels that the expected outputs were made with.
CODES = [["1.10.10.x"], ["x.x.x.x"]]


@pytest.fixture
def classes(golden: Path, tmp_path: Path) -> Path:
    """Fold classes as Proteina publishes them: saved by torch."""
    path = tmp_path / "cath_label_mapping.pt"
    torch.save(golden_networks(golden)[0].meta["cath_label_mapping"], path)
    return path


@pytest.mark.parametrize("kind", ["", "lora_"])
def test_a_checkpoint_is_a_teacher(golden: Path, classes: Path, tmp_path: Path, kind: str) -> None:
    directory, teacher = golden / "protein/ckpt", tmp_path / "teacher"
    (source,) = directory.glob(f"{kind}chk_*-EMA.ckpt")
    prepare(str(source), teacher, fold_classes=classes)
    _, described = read_model(teacher)
    assert described["provenance"]["format"].endswith("+lora") is bool(kind)
    given = arrays(directory / f"expected_{kind}EMA.npz")
    batch = Batch(mask=given["mask"], condition={"cath_code": CODES[: len(given["t"])]})
    with torch.no_grad():
        clean = load_domain("protein").load(teacher).eval()(given["x_t"], given["t"], batch)
    real = given["mask"]
    assert_close(clean[real], given["x_1_pred"][real], 3e-5, kind)
    sets = {"naive": {"model": "teacher", "sampler": {"kind": "renoise", "steps": 1}}}
    config = write_config(tmp_path / "run.yaml", sets=sets, generate={"fold": ["1.10"]})
    generate(config, "naive", 0, tmp_path / "shard", teacher)
    index = pd.read_csv(tmp_path / "shard/index.csv")
    for file in index["file"]:
        assert "CATH 1.10.x.x" in (tmp_path / "shard" / file).read_text()


def test_without_its_classes_a_checkpoint_can_not_be_asked(golden: Path, tmp_path: Path) -> None:
    (source,) = (golden / "protein/ckpt").glob("chk_*-EMA.ckpt")
    prepare(str(source), tmp_path / "teacher")
    config = write_config(tmp_path / "run.yaml", generate={"fold": ["1.10"]})
    with pytest.raises(FewstepError, match="it has no classes"):
        generate(config, "naive", 0, tmp_path / "shard", tmp_path / "teacher")


WRONG: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_text(""),
    "a list": lambda path: path.write_text("[]"),
    "binary": lambda path: path.write_bytes(b"\xff\x00"),
    "deep": lambda path: path.write_text("[" * 100_000 + "]" * 100_000),
    "deep inside": lambda path: path.write_text('{"network": ' + "[" * 700 + "]" * 700 + "}"),
    "5,000 digits": lambda path: path.write_text('{"network": ' + "9" * 5000 + "}"),
    "NaN": lambda path: path.write_text('{"network": NaN}'),
    "a pipe": os.mkfifo,
    "a directory": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_a_wrong_architecture_is_one_line(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pt")
    make(tmp_path / "model.json")
    with pytest.raises(FewstepError, match=r"model\.json") as error:
        prepare(str(tmp_path / "a.pt"), tmp_path / "out", architecture=tmp_path / "model.json")
    assert len(str(error.value).splitlines()) == 1 and not (tmp_path / "out").exists()


def test_a_file_of_other_classes_is_refused(golden: Path, classes: Path, tmp_path: Path) -> None:
    (source,) = (golden / "protein/ckpt").glob("chk_*-EMA.ckpt")
    torch.save({"C": {"1": 5000}, "A": {}, "T": {}}, classes)
    with pytest.raises(FewstepError, match="CATH level C"):
        prepare(str(source), tmp_path / "teacher", fold_classes=classes)
