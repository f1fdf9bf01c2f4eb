"""Contract: computing activations again changes memory, never a gradient or a statistic."""

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from domains.distillation.recompute import run_layer


def layer() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 64), nn.BatchNorm1d(64), nn.GELU(), nn.Linear(64, 8))


def kept(run) -> int:
    """Bytes that the graph of ``run()`` holds on to."""
    seen: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        seen[value.data_ptr()] = value.untyped_storage().nbytes()
        return value

    with saved_tensors_hooks(pack, lambda value: value):
        run()
    return sum(seen.values())


def gradients(recompute: bool) -> tuple[list[Tensor], dict[str, Tensor]]:
    network, x = layer(), torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    x.requires_grad_(True)
    for _ in range(2):
        y = run_layer(network, x, recompute=recompute)
        (y * run_layer(network, y, recompute=recompute)).sum().backward()
    assert x.grad is not None
    parts = [x.grad, *(p.grad for p in network.parameters() if p.grad is not None)]
    return parts, dict(network.named_buffers())


def test_gradients_and_running_statistics_are_the_same() -> None:
    (plain, statistics), (again, others) = gradients(False), gradients(True)
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    assert all(torch.equal(statistics[name], others[name]) for name in statistics)
    assert float(statistics["1.running_mean"].abs().sum()) > 0


def test_only_inputs_are_kept() -> None:
    network, x = layer(), torch.randn(1000, 8, requires_grad=True)
    assert kept(lambda: run_layer(network, x, recompute=False)) > 1000 * 64 * 4
    assert kept(lambda: run_layer(network, x, recompute=True)) < 1000 * 16 * 4


def test_momentum_is_given_back_after_an_error() -> None:
    network, x = layer(), torch.randn(4, 8, requires_grad=True)
    y = run_layer(network, x, recompute=True)
    handle = network[3].register_forward_hook(lambda *_: 1 / 0)  # type: ignore[index]
    try:
        y.sum().backward()
    except ZeroDivisionError:
        handle.remove()
    assert network[1].momentum == 0.1  # type: ignore[index]


def test_nothing_changes_without_a_gradient() -> None:
    network = layer().eval()
    with torch.no_grad():
        y = run_layer(network, torch.ones(2, 8), recompute=True)
    assert not y.requires_grad
