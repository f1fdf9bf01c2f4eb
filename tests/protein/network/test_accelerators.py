"""Contract: what accelerators compute in another way is what a CPU computes.

There is none here: a CPU takes the paths that are made for them.
"""

import pytest
import torch
from protein.network.examples import chain, small
from protein.network.golden_files import assert_close

from domains.protein.network import layers, look_up, pair, pair_vectors, proteina
from domains.protein.network.look_up import product_type
from domains.protein.network.pair_vectors import EveryPair

DIRECTED = ["rel_seq_sep", "xt_pair_dists", "xt_pair_directions"]  # every pair is embedded


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (look_up, pair, pair_vectors, proteina):
        monkeypatch.setattr(module, "waits", lambda device: True)


@pytest.mark.parametrize("updates", [False, True])
@pytest.mark.parametrize("sizes", [(9, 6), (7, 7)])
@pytest.mark.parametrize("gradient", [False, True])
def test_networks_are_equal(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], gradient: bool, updates: bool
):
    network, inputs = small(feats_pair_repr=DIRECTED, update_pair_repr=updates), chain(sizes)
    found = []
    for path in ("here", "there"):
        with torch.set_grad_enabled(gradient):
            out = network(inputs).coors_pred
        if gradient:
            network.zero_grad()
            out.square().sum().backward()
        grads = [w.grad.clone() for w in network.parameters() if gradient and w.grad is not None]
        found.append([out.detach(), *grads])
        if path == "here":
            for module in (look_up, pair, pair_vectors, proteina):
                monkeypatch.setattr(module, "waits", lambda device: True)
    assert len(found[0]) == len(found[1]) > 20 * gradient
    for ours, theirs in zip(*found, strict=True):
        assert_close(ours, theirs, 1e-5)


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("registers", [0, 2])
def test_the_condition_is_read_once_for_all_layers(monkeypatch: pytest.MonkeyPatch, registers: int):
    network, inputs = small(feats_pair_repr=DIRECTED, num_registers=registers), chain()
    seen = []
    for module in network.transformer_layers.modules():
        if isinstance(module, torch.nn.Sigmoid):
            module.register_forward_hook(lambda *_: seen.append(1))
    with torch.no_grad():
        at_once = network(inputs).coors_pred
        assert not seen
        monkeypatch.setattr(proteina, "waits", lambda device: False)
        assert_close(at_once, network(inputs).coors_pred, 1e-5)
    assert len(seen) == 4 * network.config.nlayers


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("half", [False, True])
def test_attention_need_not_copy_a_bias(monkeypatch: pytest.MonkeyPatch, half: bool):
    network, seen = small(feats_pair_repr=DIRECTED), []
    as_used = layers._as_used

    def watched(bias: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        used = as_used(bias, query)
        seen.append((used.stride(), used.dtype, used.data_ptr() == bias.data_ptr()))
        return used

    monkeypatch.setattr(layers, "_as_used", watched)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        network(chain())
    assert len(seen) == network.config.nlayers
    for strides, dtype, same in seen:
        assert strides[-1] == 1 and all(stride % 16 == 0 for stride in strides[:-1])
        assert same and dtype == (torch.bfloat16 if half else torch.float32)


@pytest.mark.usefixtures("accelerator")
def test_the_biases_of_whole_batches_are_masked():
    network, inputs = small(feats_pair_repr=DIRECTED), chain((9, 9))
    pairs = network.pair_repr_builder(inputs, 2)
    assert isinstance(pairs, EveryPair)
    bias = pairs.biases(torch.ones(3, network.config.pair_repr_dim))
    assert bias.shape == (2, 3, 11, 11) and bias.abs().max() < 1e6
    assert bias[:, :, :2].abs().max() == 0 and bias[..., :2].abs().max() == 0


@pytest.mark.parametrize("piece", [1, 1 << 26])
def test_the_gradient_of_a_look_up_is_a_product(monkeypatch: pytest.MonkeyPatch, piece: int):
    monkeypatch.setattr(look_up, "_PIECE", piece)
    torch.manual_seed(0)
    table = torch.randn(12, 5, requires_grad=True)
    rows = torch.stack([torch.randint(0, 6, (40,)), torch.randint(6, 12, (40,))], -1)
    factor = torch.randn(40, 5)
    gradients = []
    for product in (None, torch.float32, torch.bfloat16):
        out = look_up.look_up(rows, table, product)
        assert torch.equal(out, look_up.look_up(rows, table))
        gradients += torch.autograd.grad((out * factor).sum(), table)
    assert_close(gradients[1], gradients[0], 1e-6)
    assert_close(gradients[2], gradients[0], 2e-2)
    assert not torch.equal(gradients[2], gradients[1])


def test_products_are_for_accelerators_in_half_precision(monkeypatch: pytest.MonkeyPatch):
    device = torch.device("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert product_type(device) is None
        monkeypatch.setattr(look_up, "waits", lambda device: True)
        assert product_type(device) == torch.bfloat16
    assert product_type(device) is None
