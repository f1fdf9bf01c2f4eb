"""Contract: doctor says what is here, missing or broken; only what is needed decides the exit."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

from domains.errors import FewstepError
from domains.monitoring import machine, tools
from domains.monitoring.finding import Finding
from domains.stages.doctor import doctor


@pytest.fixture(scope="module")
def found() -> dict[str, Finding]:
    """Optional things of this machine."""
    return {finding.name: finding for finding in tools.tools()}


def script(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_both_forms_say_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, found: dict
) -> None:
    monkeypatch.setattr(tools, "tools", lambda: iter(found.values()))
    doctor(json=True)
    rows = json.loads(capsys.readouterr().out)
    assert {"python", "packages", "cores", "memory", "disk", "biotite"} <= {r["name"] for r in rows}
    doctor()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [row["name"].split()[0] for row in rows]


def test_every_tool_says_what_it_enables(found: dict[str, Finding]) -> None:
    wanted = {"open3d", "MinkowskiEngine", "tmtools", "TMalign", "foldseek", "ESMFold weights"}
    wanted |= {"ProteinMPNN weights", "sbatch", "apptainer", "conda", "transformers"}
    assert wanted <= set(found)
    assert all(finding.note for finding in found.values())
    assert found["biotite"].state == "ok"


# The machine


@pytest.mark.parametrize(
    ("torch_cuda", "gpus", "there", "state", "words"),
    [
        (None, 0, True, "warning", "CPU-only"),
        ("12.8", 0, True, "warning", "can't use it"),
        (None, 0, False, "absent", "none seen"),
        ("12.8", 1, True, "ok", "H100, 80 GiB (CUDA 12.8)"),
    ],
)
def test_a_gpu_that_torch_misses_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch_cuda, gpus, there, state, words
) -> None:
    import torch

    properties = SimpleNamespace(name="H100", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.version, "cuda", torch_cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    device = tmp_path / "nvidia0"
    if there:
        device.touch()
    monkeypatch.setattr(machine, "_NVIDIA", (str(device),))
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = machine.devices()
    assert finding.state == state and words in finding.found


def test_without_a_gpu_torch_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from domains.monitoring import machine\n"
        "machine._NVIDIA, machine._AMD = (), Path('none')\n"
        "print([one.state for one in machine.devices()], 'torch' in sys.modules)"
    )
    environment = os.environ | {"PATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert made.stdout == "['absent'] False\n", made.stderr


def test_without_torch_it_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_NVIDIA", ())
    monkeypatch.setattr(machine, "_AMD", tmp_path / "kfd")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    assert [(one.state, one.found) for one in machine.devices()] == [("broken", "missing")]


def test_a_library_of_torch_that_cannot_be_loaded_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/libtorch_cpu.so").write_text("no library")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(machine, "find_spec", lambda name: spec)
    assert "libtorch_cpu.so" in machine._torch_fault()


def test_nvidia_smi_is_a_sign_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_NVIDIA", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not machine._nvidia()
    script(tmp_path, "nvidia-smi", "exit 1")
    assert machine._nvidia()


@pytest.mark.parametrize(("free", "state"), [(2**30, "warning"), (2**40, "ok")])
def test_little_disk_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert {f.name: f.state for f in machine.machine(tmp_path)}["disk"] == state


# Versions


def test_versions_are_compared_with_the_tested_ones(tmp_path: Path) -> None:
    pins = tmp_path / "constraints.txt"
    pins.write_text("# those tested\npandas==0.1\n")
    states = {finding.name: finding for finding in machine.packages(pins)}
    assert states["pandas"].state == "warning" and "tested with 0.1" in states["pandas"].found
    assert "torch" not in states and states["packages"].state == "ok"


def test_a_missing_package_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, found: dict
) -> None:
    versions = machine.version

    def without(name: str) -> str:
        if name == "pandas":
            raise PackageNotFoundError(name)
        return versions(name)

    monkeypatch.setattr(machine, "version", without)
    monkeypatch.setattr(tools, "tools", lambda: iter(()))
    with pytest.raises(FewstepError, match="first pandas: got missing"):
        doctor()
    assert "broken" in capsys.readouterr().out


# Tools


def test_what_cannot_be_imported_is_not_called_present(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashes.py").write_text("import os\nos.abort()\n")
    (tmp_path / "fails.py").write_text("import no_such_library\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, words in (("crashes", "exit code"), ("fails", "no_such_library")):
        finding = tools._package(name, name, "everything", "do it", tools._started(name))
        assert finding.state == "warning" and words in finding.found
    absent = tools._started("no_such_library")
    assert tools._package("no_such_library", "x", "everything", "do it", absent).state == "absent"


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("echo 10.941cd33", "ok"),
        ("echo 10-941cd33", "ok"),
        ("echo 11.0123abc", "ok"),
        ("echo 9.427df8a", "warning"),
        ("echo 7c1a2b3", "warning"),
        ("exit 1", "warning"),
    ],
)
def test_foldseek_has_a_least_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, state: str
) -> None:
    script(tmp_path, "foldseek", said)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    finding = tools._foldseek()
    assert finding.state == state
    assert ("conda install" in finding.found) == (state == "warning")


def test_weights_are_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert tools._esmfold_weights().state == "absent"
    snapshot = tmp_path / "hub/models--facebook--esmfold_v1/snapshots/abc"
    snapshot.mkdir(parents=True)
    assert tools._esmfold_weights().state == "absent"
    (snapshot / "config.json").touch()
    assert tools._esmfold_weights().state == "ok"


def test_weights_that_are_fetched_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("FEWSTEP_MPNN_WEIGHTS", raising=False)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "site-packages" not in p])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/proteinmpnn").mkdir(parents=True)
    assert tools._mpnn_weights() == Finding(
        "ProteinMPNN weights", "ok", "data/proteinmpnn", tools._mpnn_weights().note
    )
