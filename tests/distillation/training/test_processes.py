"""Contract: gradients are averaged over processes, many at a time, whatever their shapes."""

import pytest
import torch
from torch import distributed, nn

from domains.distillation.training import processes


@pytest.mark.parametrize(("most", "calls"), [(1, 5), (7, 4), (10**6, 2)])
def test_means_are_those_of_single_gradients(
    monkeypatch: pytest.MonkeyPatch, most: int, calls: int
):
    torch.manual_seed(0)
    shapes = [(3, 2), (1,), (4, 2), ()]
    parameters = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    parameters.append(nn.Parameter(torch.randn(2, dtype=torch.float64)))
    for parameter in parameters[:-2]:
        parameter.grad = torch.randn_like(parameter)
    parameters[2].grad = torch.randn(2, 4).t()  # laid out in another order
    before = [None if p.grad is None else p.grad.clone() for p in parameters]
    seen = []

    def all_reduce(values: torch.Tensor) -> None:
        seen.append(len(values))
        values *= 4  # four processes that have the same gradients, but for one that has none
        values -= 1

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    monkeypatch.setattr(processes, "_BUCKET", most)
    processes.average_gradients(parameters, 4)
    assert len(seen) == calls and sum(seen) == 18
    for parameter, old in zip(parameters, before, strict=True):
        assert parameter.grad is not None
        expected = (torch.zeros_like(parameter) if old is None else old) - 0.25
        torch.testing.assert_close(parameter.grad, expected.detach())


def test_a_single_process_asks_nobody():
    parameter = nn.Parameter(torch.ones(2))
    processes.average_gradients([parameter], 1)
    assert parameter.grad is None
