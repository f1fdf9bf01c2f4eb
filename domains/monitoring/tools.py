"""Optional packages, programs and weights: which are here, and what each enables."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from domains.errors import FewstepError
from domains.monitoring.finding import Finding

__all__ = ["tools"]

_SECONDS = 60  # open3d takes several to import

# Package to import, its distribution, what it enables, how to get it.
_PACKAGES = (
    (
        "biotite",
        "biotite",
        "proteins: secondary structure",
        "pip install 'fewstep[protein]'",
    ),
    ("tmtools", "tmtools", "proteins: TM-scores, so diversity and novelty", "pip install tmtools"),
    ("pypulchra", "pypulchra", "proteins: whole backbones (--backbone)", "pip install pypulchra"),
    ("open3d", "open3d", "LiDAR: simulated streets", "pip install 'fewstep[lidar]'"),
    ("ot", "pot", "LiDAR: earth mover's distance", "pip install 'fewstep[lidar]'"),
    ("PIL", "pillow", "LiDAR: pictures", "pip install 'fewstep[lidar]'"),
    (
        "MinkowskiEngine",
        "MinkowskiEngine",
        "LiDAR: another backend",
        "see docs/how_to/minkowski.md",
    ),
    ("transformers", "transformers", "proteins: ESMFold", "pip install 'fewstep[folding]'"),
)
# Program, what it enables, how to get it.
_PROGRAMS = (
    ("TMalign", "proteins: TM-scores without tmtools", "apt-get install tm-align"),
    ("apt-get", "fetching Debian packages of the manifest", "a Debian or Ubuntu machine"),
    ("sbatch", "jobs on a SLURM cluster", "run on a login node"),
    ("apptainer", "rules in containers", "ask your centre"),
    ("conda", "rules in conda environments", "install miniforge"),
)


def tools() -> Iterator[Finding]:
    """Return every optional package, program and set of weights.

    Packages begin to be imported at once, each for up to seconds, and are waited for one by one.
    """
    return _tools({package: _started(package) for package, *_ in _PACKAGES})


def _tools(started: dict[str, subprocess.Popen[str] | None]) -> Iterator[Finding]:
    for package, distribution, enables, do in _PACKAGES:
        yield _package(package, distribution, enables, do, started[package])
    for program, enables, do in _PROGRAMS:
        place = shutil.which(program)
        note = enables if place else f"{enables}: {do}"
        yield Finding(program, "ok" if place else "absent", place or "not on the PATH", note)
    yield _slurm_plugin()
    yield _foldseek()
    yield _mpnn_weights()
    yield _esmfold_weights()


def _started(package: str) -> subprocess.Popen[str] | None:
    """Import a package in a process of its own: a broken one may take its process down."""
    if find_spec(package) is None:
        return None
    command, pipe = [sys.executable, "-c", f"import {package}"], subprocess.PIPE
    # POT would import torch and its like, which are not what is asked about.
    calm = {f"POT_BACKEND_DISABLE_{name}": "1" for name in ("PYTORCH", "TENSORFLOW", "JAX")}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=pipe, text=True, env=os.environ | calm
    )


def _package(
    package: str, distribution: str, enables: str, do: str, started: subprocess.Popen[str] | None
) -> Finding:
    """Say whether a package could be imported."""
    if started is None:
        return Finding(package, "absent", "not installed", f"{enables}: {do}")
    try:
        _, said = started.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        started.kill()
        started.communicate()
        return Finding(package, "warning", f"no import within {_SECONDS} s", enables)
    if started.returncode:
        lines = said.strip().splitlines() or [f"exit code {started.returncode}"]
        return Finding(package, "warning", f"can't be imported: {lines[-1]}", f"{enables}: {do}")
    try:
        return Finding(package, "ok", version(distribution), enables)
    except PackageNotFoundError:
        return Finding(package, "ok", "of unknown version", enables)


def _slurm_plugin() -> Finding:
    name, enables = "snakemake-executor-plugin-slurm", "the profile for SLURM"
    try:
        return Finding(name, "ok", version(name), enables)
    except PackageNotFoundError:
        do = "pip install 'fewstep[slurm]'"
        return Finding(name, "absent", "not installed", f"{enables}: {do}")


def _foldseek() -> Finding:
    enables = "proteins: clusters and novelty as published (evaluate.similarity)"
    if shutil.which("foldseek") is None:
        do = "conda install -c conda-forge -c bioconda foldseek"
        return Finding("foldseek", "absent", "not on the PATH", f"{enables}: {do}")
    try:
        from domains.protein.metrics.similarity.foldseek import find_foldseek

        return Finding("foldseek", "ok", find_foldseek().version, enables)
    except (FewstepError, ImportError) as error:
        return Finding("foldseek", "warning", str(error), enables)


def _mpnn_weights() -> Finding:
    enables = "proteins: the designability proxy (fetched by the workflow)"
    fetched = Path("data/proteinmpnn")
    try:
        from domains.protein.metrics.designability.mpnn_files import find_weights

        place = find_weights(fetched if fetched.exists() else None)
    except (FewstepError, ImportError):
        do = "fewstep fetch --entry proteinmpnn --output data/proteinmpnn"
        return Finding("ProteinMPNN weights", "absent", "not found", f"{enables}: {do}")
    return Finding("ProteinMPNN weights", "ok", str(place), enables)


def _esmfold_weights() -> Finding:
    """Look into the cache of Hugging Face; weights elsewhere are named in the config."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    snapshots = cache / "models--facebook--esmfold_v1/snapshots"
    enables = "proteins: designability itself (evaluate.folding_model)"
    if any(snapshots.glob("*/*")):
        return Finding("ESMFold weights", "ok", str(snapshots.parent), enables)
    do = "hf download facebook/esmfold_v1, or give a path in the config"
    return Finding("ESMFold weights", "absent", f"not in {cache}", f"{enables}: {do}")
