"""Contract: a checkpoint gives the reference's numbers, forward and backward.

Float32 to 1e-5 of the output's scale, float64 to rounding. What padding holds does not
matter, fast paths equal plain ones, and real checkpoints fit name by name.
"""

import math
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from protein.network.examples import ARCHITECTURES, chain, published, small
from protein.network.golden_files import (
    GoldenNetwork,
    arrays,
    assert_close,
    golden_networks,
    read_json,
)

from domains.errors import FewstepError
from domains.protein.network import NetworkConfig, Proteina
from domains.protein.network.features import Inputs

RELATIVE = 1e-5


def variants(case: GoldenNetwork) -> list[str]:
    """Variants that the files hold."""
    found = [name for name in case.meta["variants"] if f"{name}.out.coors_pred" in case.io]
    assert found, case.directory.name
    return found


def real_pairs(inputs: Inputs) -> torch.Tensor:
    return inputs.mask[:, :, None] & inputs.mask[:, None]


def test_outputs_agree(golden: Path):
    for case in golden_networks(golden):
        network = case.network()
        for variant in variants(case):
            inputs = case.inputs(variant)
            with torch.no_grad():
                out = network(inputs, pair_logits=True)
            name = f"{case.directory.name} {variant}"
            assert_close(out.coors_pred, case.io[f"{variant}.out.coors_pred"], RELATIVE, name)
            expected = case.io.get(f"{variant}.out.pair_pred")
            if expected is not None:
                assert out.pair_logits is not None, name
                real = real_pairs(inputs)
                assert_close(out.pair_logits[real], expected[real], RELATIVE, name)


def test_outputs_agree_in_float64(golden: Path):
    compared = 0
    for case in golden_networks(golden):
        network = case.network(torch.float64)
        for variant in variants(case):
            if (key := f"{variant}.out64.coors_pred") in case.io:
                with torch.no_grad():
                    out = network(case.inputs(variant, torch.float64))
                # Only the time embedding is float32 here, and that to the last bit.
                assert_close(out.coors_pred, case.io[key], 1e-9, f"{case.directory.name} {key}")
                compared += 1
    assert compared


def test_gradients_agree(golden: Path):
    compared = 0
    for case in golden_networks(golden):
        if "grad.w" not in case.io:
            continue
        network, inputs = case.network(), case.inputs("xsc")
        inputs.x_t.requires_grad_(True)
        out = network(inputs, pair_logits=True)
        loss = (out.coors_pred * case.io["grad.w"]).sum()
        if out.pair_logits is not None:
            # The reference's padded pairs hold other numbers, so their logits are left out.
            with torch.no_grad():
                share = _padded_share(case, inputs)
            loss = loss + 0.01 * (share + (out.pair_logits[real_pairs(inputs)] ** 2).sum()) / (
                out.pair_logits.numel()
            )
        loss.backward()
        name = case.directory.name
        expected = float(case.io["grad.loss"])
        assert float(loss.detach()) == pytest.approx(expected, rel=RELATIVE, abs=1e-4)
        assert_close(inputs.x_t.grad, case.io["grad.x_t"], RELATIVE, name)
        parameters = dict(network.named_parameters())
        for key in (key for key in case.io if key.startswith("grad.param.")):
            gradient = parameters[key.removeprefix("grad.param.")].grad
            assert_close(gradient, case.io[key], RELATIVE, f"{name} {key}")
            compared += 1
    assert compared


def _padded_share(case: GoldenNetwork, inputs: Inputs) -> torch.Tensor:
    """Sum of squares of the reference's logits at padded pairs."""
    return (case.io["xsc.out.pair_pred"][~real_pairs(inputs)] ** 2).sum()


def _watched(network: Proteina, key: str) -> torch.nn.Module | None:
    """The module whose output a golden intermediate is."""
    named = {"cond_factory": "cond_factory", "cond": "transition_c_2", "pair": "pair_repr_builder"}
    if key in named:
        return network.get_submodule(named[key])
    kind, _, part = key.partition(".")
    number = "".join(c for c in kind if c.isdigit())
    if kind.startswith("layer"):
        inner = {"": "", "mhba": ".mhba", "mha": ".mhba.mha"}[part]
        return network.get_submodule(f"transformer_layers.{number}{inner}")
    return network.get_submodule(f"pair_update_layers.{number}") if "pairupd" in kind else None


def _real(key: str, value: torch.Tensor, inputs: Inputs, registers: int) -> torch.Tensor:
    """The entries of an intermediate that do not concern padding."""
    mask = inputs.mask
    if value.shape[1] == mask.shape[1] + registers and key.startswith(("layer", "pairupd")):
        mask = torch.nn.functional.pad(mask, (registers, 0), value=True)
    return value[mask[:, :, None] & mask[:, None]] if value.dim() == 4 else value[mask]


def _keep(seen: dict[str, Any], key: str, _module: Any, _given: Any, out: Any) -> None:
    seen[key] = out


def test_intermediates_agree(golden: Path):
    compared = 0
    for case in golden_networks(golden):
        path = case.directory / "intermediates_full.npz"
        if not path.exists():
            continue
        expected, network, inputs = arrays(path), case.network(), case.inputs("full")
        seen: dict[str, torch.Tensor] = {}
        for key in expected:
            if (module := _watched(network, key)) is not None:
                module.register_forward_hook(partial(_keep, seen, key))
        network(inputs)
        for key, value in seen.items():
            if key == "pair":
                value = value.vectors[value.index]
            if value.dim() == 2:
                value = value[:, None].expand(-1, inputs.mask.shape[1], -1)
            ours = _real(key, value.detach(), inputs, network.config.registers)
            theirs = _real(key, expected[key], inputs, network.config.registers)
            assert_close(ours, theirs, RELATIVE, f"{case.directory.name} {key}")
            compared += 1
    assert compared


def test_published_architectures_have_these_names_and_shapes(golden: Path):
    table = read_json(golden / "protein/real_config_state_dict_keys.json")
    assert table
    for name, entry in table.items():
        expected = {key: tuple(shape) for key, shape in entry["keys"].items()}
        config = NetworkConfig.parse(published(name), name)
        tables = (f"cond_factory.feat_creators.1.embedding_{level}.weight" for level in "CAT")
        c, a, t = (expected[key][0] - 1 for key in tables)
        with torch.device("meta"):
            network = Proteina(config, (c, a, t))
        ours = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        assert ours == expected, name


@pytest.mark.parametrize("changes", ARCHITECTURES)
def test_a_sample_does_not_depend_on_its_padding_or_neighbours(changes):
    network, both = small(**changes), chain()
    fields_of_short = {f.name: getattr(both, f.name) for f in fields(Inputs)}
    short = Inputs(
        **{
            name: value if value is None else value[1:] if name == "t" else value[1:, :6]
            for name, value in fields_of_short.items()
        }
    )
    noisy = both.x_t.clone()
    noisy[1, 6:] = 1e4
    with torch.no_grad():
        together = network(replace(both, x_t=noisy)).coors_pred
        alone = network(short).coors_pred
    assert together[1, 6:].abs().max() == 0
    assert_close(together[1:, :6], alone, 1e-5)


@pytest.mark.parametrize("changes", ARCHITECTURES)
def test_inference_equals_training(changes):
    network, inputs = small(**changes), chain()
    trained = network(inputs).coors_pred
    with torch.no_grad():
        inferred = network(inputs).coors_pred
    assert_close(inferred, trained.detach(), 1e-5)


@pytest.mark.parametrize("changes", ARCHITECTURES)
def test_bfloat16_weights_stay_near_float32(changes):
    network, inputs = small(**changes), chain()
    with torch.no_grad():
        exact = network(inputs).coors_pred
        rounded = network.to(torch.bfloat16)(inputs).coors_pred
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).norm() / exact.norm()) < 0.1


def test_label_modes_agree_on_a_single_label():
    inputs = chain()
    labels = torch.tensor([[[1, 2, 3]], [[0, 0, 0]]])
    one = replace(inputs, labels=labels)
    two = replace(inputs, labels=labels.expand(-1, 2, -1))
    padded = replace(two, label_mask=torch.tensor([[True, False], [True, True]]))
    for mode in ("average", "transformer"):
        network = small(multilabel_mode=mode)
        with torch.no_grad():
            single = network(one).coors_pred
            assert_close(network(two).coors_pred, single, 1e-5, mode)
            assert_close(network(padded).coors_pred, single, 1e-5, mode)
    with torch.no_grad():
        assert (single - network(inputs).coors_pred).abs().max() > 1e-4


def test_weights_of_another_architecture_are_refused():
    network = small()
    weights = dict(network.state_dict())
    Proteina.from_weights(network.config, dict(weights))
    first = next(iter(weights))
    broken = {
        "lacks": {key: value for key, value in weights.items() if key != first},
        "also has": {**weights, "more": torch.zeros(1)},
        "misshapes": {**weights, first: torch.zeros(3, 3, 3)},
    }
    for message, content in broken.items():
        with pytest.raises(FewstepError, match=message):
            Proteina.from_weights(network.config, content)


def test_not_a_number_is_not_hidden():
    inputs = chain()
    noisy = inputs.x_t.clone()
    noisy[0, 0, 0] = math.nan
    with torch.no_grad():
        out = small()(replace(inputs, x_t=noisy)).coors_pred
    assert out[0].isnan().any()
    assert out[1].isfinite().all()
