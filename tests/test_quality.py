"""Contract: clean by every tool, small files and functions, portable text, licences listed."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MOST_FILE_LINES = 300
MOST_FUNCTION_LINES = 80
# Absolute paths that exist on one machine only; not the tail of a URL or a relative path.
MACHINE_PATH = re.compile(r"(?<![\w.~/}*-])/(?:work|root|home|tmp)/[\w.]")
MADE = re.compile(r"^(?:\.(?!ci/|gitignore)|results/|data/|build/)|\.egg-info|__pycache__")
DEMO = "workflows/config/demo"
TOOLS = {
    "ruff check": ["ruff", "check", "--no-cache", "."],
    "ruff format": ["ruff", "format", "--no-cache", "--check", "."],
    "snakefmt": ["snakefmt", "--check", "--compact-diff", "Snakefile", "workflows"],
    "snakemake": ["snakemake", "--lint", "--configfile", f"{DEMO}/protein_demo.yaml"],
    "snakemake, LiDAR": ["snakemake", "--lint", "--configfile", f"{DEMO}/lidar_demo.yaml"],
    "lint-imports": ["lint-imports", "--no-cache"],
}


def project_files() -> list[Path]:
    """Files that git tracks or would add; without git, all but hidden and made ones."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not MADE.search(relative(path))]
    return sorted(path for path in paths if path.is_file())


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    """Content of a text file; nothing for a binary one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def long_functions(source: str, most: int) -> dict[str, int]:
    """Names and lengths of functions above ``most`` lines, decorators not counted."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = {
        f"{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, functions)
    }
    return {name: length for name, length in lengths.items() if length > most}


def requirements() -> dict[str, list[Requirement]]:
    """Direct dependencies by extra; "required" holds those of every installation."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"required": project["dependencies"], **project["optional-dependencies"]}
    return {extra: [Requirement(line) for line in lines] for extra, lines in groups.items()}


def pins() -> dict[str, str]:
    """Versions of constraints.txt by canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def licences() -> dict[str, str]:
    """Licence of each package row of THIRD_PARTY.md by canonical name."""
    rows = re.findall(r"^\| ([\w.-]+) \| ([^|]+) \|", (ROOT / "THIRD_PARTY.md").read_text(), re.M)
    return {canonicalize_name(name): licence for name, licence in rows}


@pytest.mark.parametrize("tool", TOOLS)
def test_tool_finds_nothing(tool: str) -> None:
    program, *arguments = TOOLS[tool]
    command = [Path(sys.executable).with_name(program), *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stdout + result.stderr


def recipe(target: str) -> tuple[list[str], list[list[str]]]:
    """Prerequisites of a target of the Makefile, and the words of its commands."""
    found = re.search(rf"^{target}:(.*)\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert found, target
    return found[1].split(), [line.split() for line in found[2].splitlines()]


def test_make_test_runs_every_tool_once() -> None:
    """By itself or through pytest, and never through ``make lint``, which stands alone."""
    (prerequisites, commands), (_, lint) = recipe("test"), recipe("lint")
    assert prerequisites == [".venv/installed-test"]
    assert any("pytest" in command for command in commands)
    tools = [[word for word in tool if word != "--no-cache"] for tool in TOOLS.values()]
    for tool in ([word for word in tool if word != "--no-cache"] for tool in lint):
        assert [*tools, *commands].count(tool) == 1, tool


def test_files_are_short() -> None:
    code = [path for path in project_files() if path.suffix in {".py", ".smk", ".js"}]
    lengths = {relative(path): len(text_of(path).splitlines()) for path in code}
    assert {name: n for name, n in lengths.items() if n > MOST_FILE_LINES} == {}


def test_functions_are_short() -> None:
    code = [path for path in project_files() if path.suffix == ".py"]
    found = {relative(path): long_functions(text_of(path), MOST_FUNCTION_LINES) for path in code}
    assert {name: long for name, long in found.items() if long} == {}


def test_long_functions_are_found() -> None:
    source = "def short():\n    pass\n\nclass A:\n    def long(self):\n" + "        pass\n" * 5
    assert long_functions(source, 5) == {"long:5": 6}


def test_no_machine_paths() -> None:
    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in project_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["work", "root", "home", "tmp"])
def test_machine_paths_are_found(folder: str) -> None:
    assert MACHINE_PATH.search(f"open('/{folder}/x')")
    assert not MACHINE_PATH.search(f"https://example.org/{folder}/x")


def test_licences_cover_every_package() -> None:
    direct = {canonicalize_name(r.name) for group in requirements().values() for r in group}
    assert (direct | set(pins())) - set(licences()) == set()


def test_nothing_required_is_under_the_gpl() -> None:
    table = licences()
    free_of_gpl = [group for extra, group in requirements().items() if extra != "similarity"]
    names = {canonicalize_name(r.name) for group in free_of_gpl for r in group}
    assert {name for name in names if "GPL" in table[name]} == set()


def test_pins_are_portable_and_satisfy_pyproject() -> None:
    assert re.search(r"@|://|\+", (ROOT / "constraints.txt").read_text()) is None
    pinned = pins()
    for group in requirements().values():
        for requirement in group:
            version = pinned[canonicalize_name(requirement.name)]
            assert version in requirement.specifier, requirement


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda p: p.stem)
def test_conda_environments_repeat_the_pins(path: Path) -> None:
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    listed = [Requirement(line) for line in dependencies[-1]["pip"]]
    versions = {canonicalize_name(r.name): str(r.specifier)[2:] for r in listed}
    assert versions == {name: pins()[name] for name in versions}
    groups = requirements()
    needed = groups["required"] + groups.get(path.stem, [])
    assert {canonicalize_name(r.name) for r in needed} - set(versions) == set()
