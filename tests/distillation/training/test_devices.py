"""Contract: all networks of a training are where it computes; the meta device stands for a GPU."""

import torch
from distillation.toy import ToyDenoiser, toy_distiller
from torch import nn

from domains.device import constant, sent, waits


def places(network: nn.Module) -> set[str]:
    return {one.device.type for one in (*network.parameters(), *network.buffers())}


def test_every_network_moves_with_the_training():
    class Counting(ToyDenoiser):
        def __init__(self) -> None:
            super().__init__(0)
            self.register_buffer("seen", torch.zeros(3))

    weaker = Counting()
    distiller = toy_distiller(frozen_networks=(weaker,))
    distiller.student.register_buffer("seen", torch.zeros(3))
    distiller.average.register_buffer("seen", torch.zeros(3))
    assert distiller.teacher is not None
    distiller.to("meta")
    distiller.on_fit_start()
    assert distiller.device.type == "meta"
    everything = (distiller.student, distiller.average, distiller.teacher, weaker)
    for network in (*everything, *distiller.fakes.values()):
        assert places(network) == {"meta"}


def test_a_constant_made_while_sampling_serves_training():
    device = torch.device("cpu")
    with torch.inference_mode():
        made = constant((0.25, 4.0), device, torch.float32)
    weight = torch.ones(2, requires_grad=True)
    (weight * made).sum().backward()
    assert weight.grad is not None and weight.grad.tolist() == [0.25, 4.0]
    assert constant((0.25, 4.0), device, torch.float32) is made
    assert constant((1, 2), device, torch.int64).tolist() == [1, 2]


def test_a_cpu_is_asked_at_once_and_sent_nothing():
    values = torch.ones(2)
    assert not waits(values.device) and sent(values, "cpu") is values
    assert waits(torch.device("cuda")) and sent(values, "meta").device.type == "meta"
