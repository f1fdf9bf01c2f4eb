"""Contract: whatever a test draws, it draws again in the next run, alone or among others."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from seeding import seed_by_name

TESTS = Path(__file__).parent
# They take their seed from the operating system when they are given none.
NEED_A_SEED = {"default_rng", "Random", "RandomState", "SeedSequence", "PCG64", "seed"}
NEVER_REPEATED = {"urandom", "SystemRandom", "uuid1", "uuid4", "getrandom"} | {
    f"token_{kind}" for kind in ("bytes", "hex", "urlsafe")
}
# A key of a cluster is a secret, and no test's number.
SECRET = "cluster/local_slurm.py"
# Drawn while tests are collected, which no test's seed reaches.
GLOBAL = {"torch": ("rand", "normal", "bernoulli", "multinomial"), "np.random": ("",)}
GLOBAL["random"] = ("rand", "choice", "shuffle", "sample", "uniform", "gauss", "getrandbits")


def draws() -> list[float]:
    """One number of each global generator."""
    return [random.random(), float(np.random.random()), float(torch.rand(()))]


@pytest.fixture(scope="module", params=["a", "b"])
def shared(request: pytest.FixtureRequest) -> tuple[int, list[float]]:
    return request.param_index, draws()


@pytest.fixture
def own() -> list[float]:
    return draws()


@pytest.mark.parametrize("number", range(2))
def test_a_test_draws_by_its_name(request: pytest.FixtureRequest, number: int) -> None:
    found = draws()
    seed_by_name(request.node.nodeid)
    assert found == draws()
    seed_by_name(request.node.nodeid.replace(f"[{number}]", f"[{1 - number}]"))
    assert not set(found) & set(draws())


def test_fixtures_draw_by_their_own_names(
    request: pytest.FixtureRequest, shared: tuple[int, list[float]], own: list[float]
) -> None:
    """Whichever test asks first for one that is shared."""
    assert request.node.parent is not None
    file = request.node.parent.nodeid
    seed_by_name(f"{file}::shared[{shared[0]}]")
    assert shared[1] == draws()
    seed_by_name(f"{file}::own[0]")
    assert own == draws()


def test_examples_of_properties_are_repeated(request: pytest.FixtureRequest) -> None:
    assert hypothesis.settings.get_profile("repeatable").derandomize
    assert hypothesis.settings().derandomize or request.config.getoption("--hypothesis-profile")


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported: all nodes but the bodies of functions."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            left += [*node.decorator_list, node.args]
        elif not isinstance(node, ast.Lambda):
            left += ast.iter_child_nodes(node)


def is_global_draw(call: ast.Call) -> bool:
    """Whether a call draws from a global generator."""
    owner, _, name = ast.unparse(call.func).rpartition(".")
    given = any(keyword.arg == "generator" for keyword in call.keywords)
    return name.startswith(GLOBAL.get(owner, ())) and not given and name not in NEED_A_SEED


def unseeded(source: str) -> list[str]:
    """Lines and names of calls that no seed reaches."""
    tree, found = ast.parse(source), []
    early = set(at_import(tree))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func).rpartition(".")[2]
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        none = all(isinstance(one, ast.Constant) and one.value is None for one in arguments)
        wrong = (name in NEED_A_SEED and none) or name in NEVER_REPEATED
        if wrong or (call in early and is_global_draw(call)):
            found.append(f"{call.lineno}: {name}")
    return found


def test_no_test_draws_what_no_seed_reaches() -> None:
    paths = sorted(set(TESTS.rglob("*.py")) - {TESTS / SECRET})
    found = {str(path.relative_to(TESTS)): unseeded(path.read_text()) for path in paths}
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "line",
    [
        "def f():\n    return np.random.default_rng()", "random.Random(None)", "torch.seed()",
        "def f():\n    os.urandom(3)", "X = torch.randn(3)", "X = np.random.normal(size=3)",
        "class A:\n    x = random.choice([1, 2])", "@mark([torch.rand_like(X)])\ndef f(): ...",
        "def f(x=uuid.uuid4()): ...",
    ],
)  # fmt: skip
def test_what_no_seed_reaches_is_found(line: str) -> None:
    assert len(unseeded(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "def f():\n    return torch.randn(3)", "np.random.default_rng(0)", "random.Random(4)",
        "X = torch.randn(3, generator=SOURCE)", "f = lambda: random.randbytes(3)",
    ],
)  # fmt: skip
def test_what_a_seed_reaches_is_left_alone(line: str) -> None:
    assert unseeded(line) == []
