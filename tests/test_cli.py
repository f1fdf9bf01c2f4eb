"""Contract: stages are commands are rules; errors are one line on stderr and exit code 2.

Some commands are no stages: no rule calls them.
"""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from domains import cli
from domains.errors import FewstepError

ROOT = Path(__file__).parents[1]
STAGES = {stage.__name__: stage for stage in cli.STAGES}
CHECKS = {check.__name__: check for check in cli.CHECKS}
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
LINES = "\n".join(path.read_text() for path in sorted((ROOT / "workflows/rules").glob("*.smk")))
RULES = re.sub(r"^ *#.*\n", "", LINES, flags=re.M)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Run the command line as the script does; returns the exit code."""
    monkeypatch.setattr(sys, "argv", ["fewstep", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def shell_line(rule: str) -> str:
    """The command of a rule, its string pieces joined; options that ``option`` makes at its end."""
    body = re.search(rf"^ *rule {rule}:\n(.*?)(?=^ *rule |\Z)", RULES, re.M | re.S)
    assert body, f"no rule {rule}"
    settings, _, shell = body[1].partition("shell:")
    made = re.findall(r'(\w+)=lambda w, input: option\("(\w+)"', settings)
    used = [f" --{name}" for key, name in made if f"{{params.{key}}}" in shell]
    return "".join([*re.findall(r'"([^"]*)"', shell), *used])


def test_commands_are_stages_and_checks() -> None:
    assert set(COMMANDS) == set(STAGES) | set(CHECKS)
    assert set(CHECKS) == {"sample", "complete", "score", "compact", "status", "doctor"}


@pytest.mark.parametrize("name", [*STAGES, *CHECKS])
def test_every_option_is_documented_once(name: str) -> None:
    function = (STAGES | CHECKS)[name]
    parameters = inspect.signature(function).parameters
    options = {option.name: option for option in COMMANDS[name].params}
    assert set(options) == set(parameters)
    for key, parameter in parameters.items():
        option = options[key]
        assert option.help and option.help.endswith("."), key
        leads = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        assert option.opts == [key if leads else f"--{key.replace('_', '-')}"]
        assert option.required == (parameter.default is inspect.Parameter.empty)
    assert COMMANDS[name].help == (inspect.getdoc(function) or "").partition("\n")[0]


@pytest.mark.parametrize("name", STAGES)
def test_every_command_is_a_rule(name: str) -> None:
    line = shell_line(name)
    assert re.search(rf"\bfewstep {name}\b", line)
    # Optional ones are in a parameter of the rule, which functions of common.smk can make.
    given = {option.replace("-", "_") for option in re.findall(r"--([a-z-]+)", line)}
    parameters = inspect.signature(STAGES[name]).parameters
    needed = {k for k, p in parameters.items() if p.default is inspect.Parameter.empty}
    assert needed <= given <= set(parameters)


def test_rules_call_only_commands() -> None:
    assert set(re.findall(r"\"fewstep ([a-z]+)", RULES)) == set(STAGES)
    options = {f"--{name.replace('_', '-')}" for s in STAGES.values() for name in
               inspect.signature(s).parameters}  # fmt: skip
    assert set(re.findall(r"(?<![\w-])--[a-z-]+", RULES)) <= options


def test_help_loads_no_torch() -> None:
    code = "import sys; from domains import cli\ntry: cli.app(['--help'])\nfinally: "
    code += "print([m for m in ('torch', 'pandas', 'pytorch_lightning') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.rstrip().endswith("[]"), result.stdout + result.stderr
    assert all(name in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["--nothing"], ["nothing"], ["report", "--nothing", "1"]])
def test_unknown_words_exit_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    streams = capsys.readouterr()
    assert "nothing" in streams.err and "Traceback" not in streams.err


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FewstepError("the thing", expected=1, got=2), "fewstep: the thing: expected 1, got 2."),
        (MemoryError(), "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore"), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory"),
        (OSError(12, "Cannot allocate memory"), "out of memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "out of memory"),
        (ImportError("\n\nOriginal error: x.so: failed to map segment\n"), "out of memory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "out/dir"), "out/dir"),
        (OSError("libX11.so.6: cannot open shared object file: No such file"), "apt-get install"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_machine_can_cause_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, error: Exception, text: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert run(monkeypatch) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and text in lines[0] and lines[0].startswith("fewstep: ")


def test_faults_of_the_program_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ((), r"fewstep: [^\n]*\n"),
        (("--quiet",), r"fewstep: [^\n]*\n"),
        (("--verbose",), r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d DEBUG fewstep .*Traceback.*fewstep: .*"),
        (("--quiet", "--verbose"), r"fewstep: --verbose and --quiet contradict .*\n"),
    ],
    ids=str,
)
def test_how_much_is_said(option: tuple[str, ...], said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "domains", *option, "status", "--run", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and re.fullmatch(said, done.stderr, re.S), done.stderr


@pytest.mark.parametrize(("option", "lines"), [((), 1), (("--quiet",), 0)])
def test_log_lines_have_time_and_level(option: tuple, lines: int, tmp_path: Path) -> None:
    code = (
        "import logging; from domains import cli\n"
        "@cli.app.command()\n"
        "def say(): logging.getLogger('domains.x').info('said')\n"
        "cli.main()"
    )
    command = [sys.executable, "-c", code, *option, "say"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    found = re.findall(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO said$", done.stderr, re.M)
    assert len(found) == lines and not done.returncode, done.stderr
