"""Contract: doctor says what is here, missing or broken; only what is needed decides the exit."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from domains.errors import FewstepError
from domains.monitoring import devices, loading, machine, tools
from domains.monitoring.finding import Finding
from domains.stages.doctor import doctor


@pytest.fixture(scope="module")
def found() -> dict[str, Finding]:
    """Optional things of this machine."""
    return {finding.name: finding for finding in tools.tools(deep=True)}


def script(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_both_forms_say_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, found: dict
) -> None:
    monkeypatch.setattr(tools, "tools", lambda deep: iter(found.values()))
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


CUDA, CPU = "cuda = '12.8'\nhip = None", "cuda = hip = None"
SMI = "echo NVIDIA H100, 81559 MiB"


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with the sign of an NVIDIA GPU; its PATH is the directory, torch for CUDA in it."""
    (tmp_path / "nvidia0").touch()
    (tmp_path / "version.py").write_text(CUDA)
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(devices, "find_spec", lambda _: spec)
    monkeypatch.setattr(devices, "is_suspect", lambda _: False)
    monkeypatch.setattr(devices, "started", lambda _: None)
    monkeypatch.setattr(devices, "_NVIDIA", (str(tmp_path / "nvidia0"),))
    monkeypatch.setattr(devices, "_AMD", tmp_path / "kfd")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("built", "smi", "state", "words"),
    [
        (CPU, SMI, "warning", "CPU-only"),
        (CUDA, SMI, "present", "H100, 81559 MiB; torch is for CUDA 12.8"),
        (CUDA, "echo No devices; exit 6", "warning", "No devices"),
        (CUDA, "exit 0", "warning", "nothing"),
        (CUDA, None, "present", "CUDA 12.8"),
        ("cuda = None\nhip = '6.4'", None, "present", "HIP 6.4"),
    ],
)
def test_a_gpu_is_seen_without_torch(gpu: Path, built, smi, state, words) -> None:
    (gpu / "version.py").write_text(built)
    if smi:
        script(gpu, "nvidia-smi", smi)
    (finding,) = devices.devices()
    assert finding.state == state and words in finding.found


@pytest.mark.parametrize(
    ("gpus", "state", "words"),
    [(0, "warning", "can't use it"), (1, "ok", "H100, 80 GiB (CUDA 12.8)")],
)
def test_a_gpu_that_torch_misses_is_a_warning(
    gpu: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, state: str, words: str
) -> None:
    properties = SimpleNamespace(name="H100", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    (finding,) = devices.devices(deep=True)
    assert finding.state == state and words in finding.found


def test_without_a_gpu_there_is_none(gpu: Path) -> None:
    (gpu / "nvidia0").unlink()
    assert [one.state for one in devices.devices()] == ["absent"]
    script(gpu, "nvidia-smi", "exit 1")  # a sign of one
    assert [one.state for one in devices.devices()] == ["warning"]


def test_without_torch_it_is_broken(gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda _: None)
    assert [(one.state, one.found) for one in devices.devices()] == [("broken", "missing")]


def test_the_platform_of_torch_is_read_from_its_files() -> None:
    built = {"cuda": torch.version.cuda, "hip": torch.version.hip}
    said = [f"{name.upper()} {number}" for name, number in built.items() if number]
    assert devices._torch_platform() == "".join(said[:1])


# Loading


@pytest.mark.skipif(not shutil.which("ldd"), reason="no ldd")
def test_a_library_that_cannot_be_loaded_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes torch suspect, which is then tried, and so are the optional packages."""
    place = tmp_path / "torch/lib"
    place.mkdir(parents=True)
    (tmp_path / "torch/__init__.py").write_text(
        "import ctypes; ctypes.CDLL(__path__[0] + '/lib/libtorch_cpu.so')"
    )
    real = Path(torch.__file__).parent / "lib/libtorch_cpu.so"
    assert not loading.is_suspect("torch")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "torch")])
    monkeypatch.setattr(loading, "find_spec", lambda _: spec)
    shutil.copy(real.with_name("libshm.so"), place / "libtorch_cpu.so")  # without its siblings
    assert loading.is_suspect("torch")
    (place / "libtorch_cpu.so").write_text("no library")
    assert loading.is_suspect("torch")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "libtorch_cpu.so" in devices._torch_fault(deep=False)


def test_doctor_loads_nothing_that_is_heavy() -> None:
    code = (
        "import sys; from domains.stages.doctor import doctor; doctor()\n"
        "assert not {'torch', 'open3d', 'scipy', 'biotite', 'snakemake'} & set(sys.modules)"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    assert "present" in made.stdout and "fewstep doctor --deep" in made.stdout


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
    monkeypatch.setattr(tools, "tools", lambda deep: iter(()))
    with pytest.raises(FewstepError, match="first pandas: got missing"):
        doctor()
    assert "broken" in capsys.readouterr().out


# Tools


def test_what_cannot_be_imported_is_not_called_present(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashes.py").write_text("import os\nos.abort()\n")
    (tmp_path / "fails.py").write_text("import no_such_library\n")
    library = "libGL.so.1: cannot open shared object file"
    (tmp_path / "lacks.py").write_text(f"raise ImportError('{library}')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    cases = (("crashes", "exit code", "do it"), ("fails", "no_such_library", "do it"))
    for name, words, note in (*cases, ("lacks", library, "apt-get install")):
        finding = tools._package(name, name, "everything", "do it", loading.started(name))
        assert finding.state == "warning" and words in finding.found and note in finding.note
        assert tools._package(name, name, "everything", "do it", None).state == "present"
    assert loading.started("no_such_library") is None
    assert tools._package("no_such_library", "x", "everything", "do it", None).state == "absent"


def test_a_suspect_package_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "is_suspect", lambda package: package == "PIL")
    states = {finding.name: finding.state for finding in tools.tools()}
    assert (states["PIL"], states["tmtools"]) == ("ok", "present")


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
