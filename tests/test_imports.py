"""Contract: what a login node parses loads no torch, and every import is a declared package.

That imports go strictly downward is checked by import-linter, in test_quality.py.
"""

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "domains").rglob("*.py"))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def imported_packages(source: str) -> set[str]:
    """Top-level names of all absolute imports, also of those inside functions."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def declared_packages() -> set[str]:
    """Canonical names of everything that pyproject.toml lets the package use, without dev."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        if extra != "dev":
            lines += requirements
    return {canonicalize_name(Requirement(line).name) for line in lines}


@pytest.mark.parametrize("module", ["domains.config", "domains.errors"])
def test_loads_no_torch(module: str) -> None:
    result = run(sys.executable, "-c", f"import sys, {module}; print('torch' in sys.modules)")
    assert result.stdout == "False\n", result.stderr


def test_every_import_is_declared() -> None:
    distributions = packages_distributions()
    missing = {}
    for path in MODULES:
        for name in imported_packages(path.read_text()) - set(sys.stdlib_module_names):
            owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
            if name != "domains" and not owners & declared_packages():
                missing.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert not missing, f"imported but not in pyproject.toml: {missing}"


def test_imports_are_found_at_every_depth() -> None:
    source = "import a.b\nfrom c.d import e\nfrom . import f\ndef g():\n    import h\n"
    assert imported_packages(source) == {"a", "c", "h"}


# Each takes up to a second, of a sampling job that may last ten.
SLOW = ("pytorch_lightning", "matplotlib", "scipy.stats", "scipy.interpolate", "torch._dynamo")


@pytest.mark.parametrize("model", ["proteina-small-8", "lidar-street-8", "lidar-street-1"])
def test_what_samples_loads_no_slow_package_for_nothing(model: str) -> None:
    field = "lidar" if model.startswith("lidar") else "protein"
    lines = [
        "import sys, domains.cli, domains.stages.sampling",
        "from domains.config.fields import located",
        "from domains.field import load_field",
        f"load_field({field!r}).load(located({model!r}))",
        f"print([name for name in {SLOW} if name in sys.modules])",
    ]
    result = run(sys.executable, "-c", "; ".join(lines))
    assert result.stdout == "[]\n", result.stdout + result.stderr
