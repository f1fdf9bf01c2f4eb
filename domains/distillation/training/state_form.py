"""Check that a saved state fits this training, before anything is restored from it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor

from domains.distillation.training.distiller import Distiller

__all__ = ["check_state"]

# What Adam keeps of a weight, and what Muon keeps.
_MOMENTS = ({"step", "exp_avg", "exp_avg_sq"}, {"momentum_buffer"})


def check_state(distiller: Distiller, state: Any, settings: str = "") -> None:
    """Compare a state with what the training would save now.

    Args:
        distiller: The training.
        state: What was read.
        settings: Hash of the training's settings; states of earlier versions carry none.

    Raises:
        ValueError: It lacks a part, or a part is of another network, objective or kind.
    """
    expected: dict[str, Any] = {**distiller.training_state(), "interval": {}}
    if not _is_dict(state):
        raise ValueError("it is no state")
    if lost := [name for name in expected if name not in state]:
        raise ValueError(f"it has no {lost[0]}")
    objective = type(distiller.plan.objective).__name__
    if state.get("objective", objective) != objective:
        raise ValueError(f"it is of the objective {str(state['objective'])[:80]}")
    if settings and (saved := state.get("settings") or settings) != settings:
        marks = f"sha256 {str(saved)[:12]}, not {settings[:12]}"
        raise ValueError(f"it was trained under other settings: {marks}")
    _check_counts(distiller, state)
    networks = expected["networks"]
    _same_names("networks", state["networks"], networks)
    for role, weights in networks.items():
        _check_weights(role, state["networks"][role], weights)
    _check_weights("average", state["average"], expected["average"])
    _same_names("optimisers", state["optimisers"], expected["optimisers"])
    for role, optimiser in expected["optimisers"].items():
        parameters = [p for g in distiller.role_optimisers[role].param_groups for p in g["params"]]
        _check_optimiser(role, state["optimisers"][role], optimiser, parameters)
    _check_best(state["best"], expected["average"])
    _check_path(distiller, state["path"])
    _check_interval(state["interval"])


def _check_counts(distiller: Distiller, state: dict[str, Any]) -> None:
    for name in ("done", "network_calls"):
        if type(state[name]) is not int or state[name] < 0:
            raise ValueError(f"{name} is no count")
    steps = distiller.plan.fit.steps
    if steps is not None and state["done"] > steps:
        raise ValueError(f"it is at step {state['done']} of {steps}")
    if not _is_number(state.get("seconds", 0)) or state.get("seconds", 0) < 0:
        raise ValueError("seconds is no time")
    if not _is_number(state["student_begun"]) or not 0 <= state["student_begun"] <= 1:
        raise ValueError("student_begun is no share")


def _check_best(best: Any, average: Mapping[str, Tensor]) -> None:
    if not _is_dict(best) or set(best) != {"score", "step", "weights"}:
        raise ValueError("best is of another kind")
    if not _is_number(best["score"]) or type(best["step"]) is not int:
        raise ValueError("the best score is no number")
    if best["weights"] != {}:
        _check_weights("best", best["weights"], average)


def _check_path(distiller: Distiller, records: Any) -> None:
    """Check the networks that DisBack has recorded so far."""
    path = distiller.path
    most = 0 if path is None else path.plan.checkpoints
    if not _is_list(records) or len(records) > most:
        raise ValueError("the recorded path is of another training")
    if path is not None:
        for record in records:
            _check_weights("path", record, path.teacher.state_dict())


def _check_interval(interval: Any) -> None:
    entries = interval.items() if _is_dict(interval) else [(None, None)]
    for name, sums in entries:
        if not isinstance(name, str) or not _is_list(sums, tuple) or len(sums) != 2:
            raise ValueError("the open interval of the log is of another kind")
        total, count = sums
        if not isinstance(total, float | int) or type(count) is not int or count < 1:
            raise ValueError(f"the open interval of the log has no sum of {name[:80]}")


def _check_weights(role: str, saved: Any, expected: Mapping[str, Tensor]) -> None:
    _same_names(role, saved, expected)
    for name, value in expected.items():
        tensor = saved[name]
        if not isinstance(tensor, Tensor) or tensor.shape != value.shape:
            raise ValueError(f"weight {name} of {role} has another shape")
        if tensor.is_floating_point() != value.is_floating_point():
            raise ValueError(f"weight {name} of {role} is of another kind")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"weight {name} of {role} is not finite")


def _check_optimiser(
    role: str, saved: Any, expected: dict[str, Any], parameters: list[Tensor]
) -> None:
    _same_names(f"the optimiser of {role}", saved, expected)
    groups, moments = saved["param_groups"], saved["state"]
    if not _is_list(groups) or not _is_dict(moments):
        raise ValueError(f"the optimiser of {role} is of another kind")
    if len(groups) != len(expected["param_groups"]):
        raise ValueError(f"the optimiser of {role} has other groups")
    for group, ours in zip(groups, expected["param_groups"], strict=True):
        if not _is_dict(group) or "params" not in group:
            raise ValueError(f"the optimiser of {role} has other groups")
        # The rate is set anew at each step; other versions of torch have other options.
        if any(group[key] != ours[key] for key in ours if key != "lr" and key in group):
            raise ValueError(f"the optimiser of {role} has other settings")
    of_muon = {n for g in expected["param_groups"] if "ns_steps" in g for n in g["params"]}
    for number, kept in moments.items():
        if type(number) is not int or not 0 <= number < len(parameters):
            raise ValueError(f"the optimiser of {role} is of other weights")
        shapes = (parameters[number].shape, torch.Size([]))
        by_muon = number in of_muon
        if not _is_dict(kept) or set(kept) != _MOMENTS[by_muon]:
            raise ValueError(f"the optimiser of {role} keeps other moments")
        for name, value in kept.items():
            if not isinstance(value, Tensor) or value.shape != shapes[name == "step"]:
                raise ValueError(f"a moment of {role} has another shape")


def _same_names(what: str, saved: Any, expected: Mapping[str, Any]) -> None:
    if not _is_dict(saved) or set(saved) != set(expected):
        raise ValueError(f"{what}: it has other parts than this training")


def _is_dict(value: Any) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any, *others: type) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, (list, *others))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
