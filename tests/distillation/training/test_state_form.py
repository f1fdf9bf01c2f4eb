"""Contract: a whole file that is no state of this training is told before anything changes."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from distillation.toy import toy_distiller, toy_validation
from distillation.toy_run import STEPS, settings

from domains.distillation.training.fit import run
from domains.distillation.training.state_form import check_state
from domains.errors import FewstepError
from domains.files.provenance import sha256


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that has ended."""
    directory = tmp_path_factory.mktemp("trained")
    assert run(toy_distiller(**settings()), directory, toy_validation)
    return directory


def states(directory: Path) -> list[Path]:
    return sorted((directory / "state").glob("*.pt"))


def rewrite(path: Path, content: Any) -> None:
    torch.save(content, path)
    path.with_suffix(".sha256").write_text(sha256(path) + "\n")


def _moments(state: dict) -> dict:
    return state["optimisers"]["student"]["state"][0]


def _group(state: dict) -> dict:
    return state["optimisers"]["student"]["param_groups"][0]


def _first(weights: dict) -> str:
    return next(iter(weights))


def _reshape(weights: dict) -> None:
    weights[_first(weights)] = torch.zeros(7, 7)


CHANGES: dict[str, Callable[[dict], Any]] = {
    "nothing in it": dict.clear,
    "no networks": lambda s: s.pop("networks"),
    "no interval": lambda s: s.pop("interval"),
    "another objective": lambda s: s.update(objective="TDM"),
    "another role": lambda s: s["networks"].update(other=s["networks"]["student"]),
    "no student": lambda s: s["networks"].pop("student"),
    "networks are a list": lambda s: s.update(networks=[1]),
    "another shape": lambda s: _reshape(s["networks"]["student"]),
    "another shape of the average": lambda s: _reshape(s["average"]),
    "another shape of the best": lambda s: _reshape(s["best"]["weights"]),
    "a weight is missing": lambda s: s["average"].popitem(),
    "a weight is a number": lambda s: s["average"].update({_first(s["average"]): 1.0}),
    "NaN": lambda s: s["average"][_first(s["average"])].fill_(float("nan")),
    "other moments": lambda s: _moments(s).pop("exp_avg"),
    "moments of another shape": lambda s: _reshape(_moments(s)),
    "moments of no weight": lambda s: s["optimisers"]["student"]["state"].update({99: {}}),
    "no groups": lambda s: s["optimisers"]["student"].update(param_groups=[]),
    "other groups": lambda s: _group(s).update(params=[torch.ones(2), torch.ones(2)]),
    "other settings of the optimiser": lambda s: _group(s).update(betas="abc"),
    "step is text": lambda s: s.update(done="12"),
    "step is beyond the end": lambda s: s.update(done=STEPS + 1),
    "step is negative": lambda s: s.update(done=-1),
    "step is true": lambda s: s.update(done=True),
    "share is NaN": lambda s: s.update(student_begun=float("nan")),
    "score is text": lambda s: s["best"].update(score="good"),
    "score is NaN": lambda s: s["best"].update(score=float("nan")),
    "a path": lambda s: s.update(path=[{}]),
    "sums are text": lambda s: s.update(interval={"student/loss": "1"}),
    "no count": lambda s: s.update(interval={"student/loss": (1.0, 0)}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_does_not_fit_is_one_line(trained: Path, change: Callable[[dict], Any]) -> None:
    state, distiller = (
        torch.load(states(trained)[-1], weights_only=True),
        toy_distiller(**settings()),
    )
    check_state(distiller, state)
    before = copy.deepcopy(distiller.training_state())
    change(state)
    with pytest.raises((ValueError, RuntimeError)) as error:
        check_state(distiller, state)
    assert len(str(error.value).splitlines()) == 1
    after = distiller.training_state()
    assert all(torch.equal(after["average"][k], v) for k, v in before["average"].items())


@pytest.mark.parametrize("content", [{}, [1], 1, "text", None, torch.zeros(3)], ids=str)
def test_other_content_falls_back_and_is_refused_if_all_is_such(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: Any
) -> None:
    assert run(toy_distiller(**settings()), tmp_path, toy_validation)
    expected = states(tmp_path)[-1].read_bytes(), (tmp_path / "log.csv").read_bytes()
    rewrite(states(tmp_path)[-1], content)
    assert run(toy_distiller(**settings()), tmp_path, toy_validation)
    assert "falling back" in caplog.text
    ended = torch.load(states(tmp_path)[-1], weights_only=True)
    assert ended["done"] == STEPS and (tmp_path / "log.csv").read_bytes() == expected[1]
    for path in states(tmp_path):
        rewrite(path, content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FewstepError, match="can be taken up") as error:
        run(toy_distiller(**settings()), tmp_path, toy_validation)
    assert len(str(error.value).splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
