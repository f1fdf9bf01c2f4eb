"""Contract: a public checkpoint, with adapters or without, becomes a teacher that a run can ask."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from protein.network.golden_files import arrays, assert_close, golden_networks
from tiny_run import write_config

from domains.batch import Batch
from domains.errors import FewstepError
from domains.field import load_field
from domains.files.model_files import read_model, write_model
from domains.files.provenance import sha256
from domains.stages.compact import compact
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
        clean = load_field("protein").load(teacher).eval()(given["x_t"], given["t"], batch)
    real = given["mask"]
    assert_close(clean[real], given["x_1_pred"][real], 3e-5, kind)
    sets = {"naive": {"model": "teacher", "sampler": {"kind": "renoise", "steps": 1}}}
    config = write_config(tmp_path / "run.yaml", sets=sets, generate={"fold": ["1.10"]})
    generate(config, "naive", 0, tmp_path / "shard", teacher)
    index = pd.read_csv(tmp_path / "shard/index.csv")
    for file in index["file"]:
        assert "CATH 1.10.x.x" in (tmp_path / "shard" / file).read_text()


def test_a_model_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    prepare("proteina-small-16", tmp_path / "mine")
    before = (tmp_path / "mine/model.safetensors").read_bytes()
    with pytest.raises(FewstepError, match=r"there is a model in .*mine already"):
        prepare("proteina-small-8", tmp_path / "mine")
    with pytest.raises(FewstepError, match=r"there is a model in .*mine already"):
        compact("proteina-small-8", tmp_path / "mine")
    assert (tmp_path / "mine/model.safetensors").read_bytes() == before


def test_a_checksum_is_of_a_file_and_bits_are_of_a_base(golden: Path, tmp_path: Path) -> None:
    (source,) = (golden / "protein/ckpt").glob("chk_*-EMA.ckpt")
    with pytest.raises(FewstepError, match="sha256 is of a file"):
        prepare("proteina-small-8", tmp_path / "one", sha256="abc")
    with pytest.raises(FewstepError, match="checksum"):
        prepare(str(source), tmp_path / "one", sha256="abc")
    prepare(str(source), tmp_path / "one", sha256=f" {sha256(source).upper()}")
    with pytest.raises(FewstepError, match="bits are of use with a base only"):
        compact(str(tmp_path / "one"), tmp_path / "two", bits=2)
    compact(str(tmp_path / "one"), tmp_path / "two")
    assert read_model(tmp_path / "two")[1] == read_model(tmp_path / "one")[1]


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


def test_a_directory_is_told_its_fold_classes(golden: Path, classes: Path, tmp_path: Path) -> None:
    (source,) = (golden / "protein/ckpt").glob("chk_*-EMA.ckpt")
    prepare(str(source), tmp_path / "untold")
    prepare(str(tmp_path / "untold"), tmp_path / "teacher", fold_classes=classes)
    prepare(str(source), tmp_path / "told", fold_classes=classes)
    (_, described), (_, expected) = (read_model(tmp_path / name) for name in ("teacher", "told"))
    assert described == expected and any(described["cath_mapping"].values())
    torch.save({"C": {"1": 5000}, "A": {}, "T": {}}, classes)
    with pytest.raises(FewstepError, match="CATH level C"):
        prepare(str(tmp_path / "untold"), tmp_path / "other", fold_classes=classes)


def student_of(golden: Path, classes: Path, tmp_path: Path, **changes: object) -> Path:
    """Prepare a teacher, with changes to its description; return a student's bare weights."""
    (source,) = (golden / "protein/ckpt").glob("chk_*-EMA.ckpt")
    prepare(str(source), tmp_path / "teacher", fold_classes=classes)
    weights, described = read_model(tmp_path / "teacher")
    write_model(tmp_path / "teacher", weights, described | changes)
    return golden / "protein/ckpt/student_model_state_dict.pth"


@pytest.mark.parametrize("given", ["teacher/model.json", "teacher"])
def test_a_student_takes_the_architecture_of_its_teacher(
    golden: Path, classes: Path, tmp_path: Path, given: str
) -> None:
    student = student_of(golden, classes, tmp_path, target="x_1", motif=True)
    prepare(str(student), tmp_path / "student", architecture=tmp_path / given)
    weights, described = read_model(tmp_path / "student")
    expected, teacher = read_model(tmp_path / "teacher")
    for key in ("network", "target", "motif", "cath_mapping"):
        assert described[key] == teacher[key], key
    assert described["target"] == "x_1" and described["motif"] is True
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert load_field("protein").load(tmp_path / "student")


@pytest.mark.parametrize("bare", [True, False])
def test_an_architecture_may_be_written_by_hand(golden, classes, tmp_path, bare) -> None:
    student = student_of(golden, classes, tmp_path)
    network = read_model(tmp_path / "teacher")[1]["network"]
    path = tmp_path / "hand.json"
    path.write_text(json.dumps(network if bare else {"network": network, "target": "x_1"}))
    prepare(str(student), tmp_path / "student", architecture=path)
    _, described = read_model(tmp_path / "student")
    assert described["network"] == network and described["target"] == ("v" if bare else "x_1")


NO_ARCHITECTURE = {
    "a list": "[]",
    "a number": "3",
    "no JSON": "{",
    "deep": "[" * 100_000,
    "a deep object": '{"a":' * 100_000,
    "binary": "\x00\x01",
    "a model without one": '{"format": "fewstep-model-1", "config": {}}',
    "a model of nothing": '{"format": "fewstep-model-1"}',
    "a network of words": '{"network": "big"}',
    "an empty one": "{}",
    "another one": '{"network": {"width": 1}}',
}


@pytest.mark.parametrize("text", NO_ARCHITECTURE.values(), ids=NO_ARCHITECTURE)
def test_what_is_no_architecture_is_refused(golden: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    student = golden / "protein/ckpt/student_model_state_dict.pth"
    with pytest.raises(FewstepError, match=r"architecture|no Proteina network") as error:
        prepare(str(student), tmp_path / "out", architecture=tmp_path / "a.json")
    assert len(str(error.value).splitlines()) == 1 and not (tmp_path / "out").exists()
    with pytest.raises(FewstepError, match="no architecture"):
        prepare(str(student), tmp_path / "out", architecture=tmp_path / "missing.json")


def test_options_that_contradict_a_model_are_refused(golden, classes, tmp_path) -> None:
    student_of(golden, classes, tmp_path)
    (source,) = (golden / "protein/ckpt").glob("chk_*-EMA.ckpt")
    teacher = tmp_path / "teacher"
    network = read_model(teacher)[1]["network"]
    (tmp_path / "a.json").write_text(json.dumps(network | {"use_qkln": not network["use_qkln"]}))
    for path, out in ((source, tmp_path / "one"), (teacher, tmp_path / "two")):
        with pytest.raises(FewstepError, match="another architecture"):
            prepare(str(path), out, architecture=tmp_path / "a.json")
        prepare(str(path), out, architecture=teacher / "model.json")
    with pytest.raises(FewstepError, match="no adapters"):
        prepare(str(teacher), tmp_path / "three", lora_alpha=32.0)
