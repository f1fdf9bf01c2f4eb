"""Contract: every checkpoint form gives the same weights, finite, and LoRA merged.

What a hostile or damaged file does is in ``test_safe_archive``; the form that this program
writes in ``test_canonical_form``.
"""

import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from protein.checkpoint_files import golden_files, refused, save, weights
from safetensors.torch import save_file

from domains.errors import FewstepError
from domains.files import model_files, pickle_program, safe_archive
from domains.files.model_files import write_model
from domains.protein.checkpoint.lora import has_lora
from domains.protein.checkpoint.proteina import read_checkpoint


def test_lightning_checkpoints_give_weights_and_configuration(golden):
    for path in golden_files(golden, "chk_*.ckpt"):
        found = read_checkpoint(path)
        ema = path.stem.endswith("-EMA")
        assert found.source_format == ("lightning-ema" if ema else "lightning")
        assert found.target in ("v", "x_1") and found.motif is False
        assert found.network is not None
        layers = {name.split(".")[1] for name in found.weights if name.startswith("transformer_")}
        assert len(layers) == found.network["nlayers"]
        assert found.weights["linear_3d_embed.weight"].shape == (found.network["token_dim"], 3)
        assert isinstance(found.network["feats_init_seq"], list)
        json.dumps(found.network)


def test_names_and_shapes_agree_with_the_layout(golden):
    for layout in golden_files(golden, "layout_*.json"):
        described = json.loads(layout.read_text())["state_dict"]
        found = read_checkpoint(layout.parent / layout.name[len("layout_") : -len(".json")])
        shapes = {f"nn.{k}": f"Tensor{tuple(v.shape)}:{v.dtype}" for k, v in found.weights.items()}
        # The golden description lists only the first sixty names.
        assert described and described.items() <= shapes.items()


def test_student_files_hold_the_weights_of_the_averaged_checkpoint(golden):
    [ema] = [p for p in golden_files(golden, "chk_*.ckpt") if p.stem.endswith("-EMA")]
    expected = read_checkpoint(ema).weights
    for path in golden_files(golden, "student_*"):
        found = read_checkpoint(path)
        assert found.source_format == "state-dict" and found.network is None
        assert found.weights.keys() == expected.keys()
        assert all(torch.equal(found.weights[name], expected[name]) for name in expected)


def test_averaged_weights_differ_from_raw_ones(golden):
    files = golden_files(golden, "chk_*.ckpt")
    if len(files) < 2:
        pytest.skip("the compact golden set holds one of the two files; use --golden-root")
    raw, ema = sorted(files, key=lambda p: p.stem.endswith("-EMA"))
    a, b = read_checkpoint(raw).weights, read_checkpoint(ema).weights
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_adapters_are_merged_with_the_alpha_of_the_file(golden):
    for path in golden_files(golden, "lora_chk_*.ckpt"):
        found = read_checkpoint(path)
        assert found.source_format.endswith("+lora") and not has_lora(found.weights)
        # A second opinion that shares no code with the reader under test.
        state, alpha = independent_reading(path)
        changed = 0
        for name, value in found.weights.items():
            base, stem = state[f"nn.{name}"], f"nn.{name.removesuffix('.weight')}"
            if f"{stem}.lora_A" not in state:
                assert torch.equal(value, base)
                continue
            down, up = state[f"{stem}.lora_A"], state[f"{stem}.lora_B"]
            update = alpha / down.shape[0] * (up @ down)
            expected = base + (update.T if "embedding_" in stem else update)
            torch.testing.assert_close(value, expected)
            changed += not torch.equal(value, base)
        assert changed > 0
        refused(path, "contradicts", lora_alpha=alpha + 1.0)


def independent_reading(path: Path) -> tuple[dict[str, torch.Tensor], float]:
    """Read state dict and LoRA alpha by hand: the archive, its storages and the numbers."""

    class StandIn(dict):
        def __init__(self, *_):
            super().__init__()

        def __setstate__(self, state):
            self.update(state)

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name == "_rebuild_tensor_v2":
                return lambda data, offset, size, stride, *_: (data, offset, size, stride)
            if name == "OrderedDict":
                return OrderedDict
            return {"dict": dict, "list": list}.get(name, StandIn)

        def persistent_load(self, pid):
            return pid[2]

    def tensor(record) -> torch.Tensor:
        key, offset, size, stride = record
        data = np.frombuffer(archive.read(f"{root}/data/{key}"), dtype="<f4")
        return torch.from_numpy(data.copy()).as_strided(size, stride, offset)

    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        with archive.open(f"{root}/data.pkl") as program:
            content = Reader(program).load()
        settings = content["hyper_parameters"]["cfg_exp"]["_content"]
        alpha = settings["lora"]["_content"]["lora_alpha"]["_val"]
        return {name: tensor(record) for name, record in content["state_dict"].items()}, alpha


@pytest.mark.parametrize("prefix", ["", "nn.", "model.nn.", "module.model.nn.", "module.nn."])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_wrappers_prefixes_are_stripped(tmp_path, prefix, suffix):
    state = OrderedDict((prefix + name, value) for name, value in weights().items())
    found = read_checkpoint(save(tmp_path / f"a{suffix}", state)).weights
    assert found.keys() == weights().keys()
    assert all(torch.equal(found[name], value) for name, value in weights().items())


WRAPPED = {
    "compiled": "_orig_mod.{0}",
    "compiled within": "nn._orig_mod.{0}",
    "sharded": "_fsdp_wrapped_module.{0}",
    "sharded and compiled in any order": "module._orig_mod.model._fsdp_wrapped_module.nn.{0}",
    "by Fabric": "_forward_module.{0}",
}
LAYERS = {
    "layers sharded": "transformer_layers.0._fsdp_wrapped_module.bias",
    "layers compiled": "transformer_layers.0._orig_mod.bias",
    "layers recomputed": "transformer_layers.0._checkpoint_wrapped_module.bias",
    "layers of three wrappers": (
        "transformer_layers.0._orig_mod._fsdp_wrapped_module._checkpoint_wrapped_module.bias"
    ),
}


@pytest.mark.parametrize("pattern", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_wrappers_leave_no_trace_in_names(tmp_path, pattern, layer, suffix):
    whole = weights()
    names = dict.fromkeys(whole) | {"transformer_layers.0.bias": layer}
    state = {pattern.format(names[name] or name): value for name, value in whole.items()}
    path = tmp_path / f"a{suffix}"
    save_file(state, path) if suffix == ".safetensors" else save(path, state)
    found = read_checkpoint(path).weights
    assert found.keys() == whole.keys()
    assert all(torch.equal(found[name], value) for name, value in whole.items())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_weight_wrapped_and_bare_is_an_error(tmp_path, suffix):
    state = weights() | {"_orig_mod.transformer_layers.0.bias": torch.ones(4)}
    path = tmp_path / f"a{suffix}"
    save_file(state, path) if suffix == ".safetensors" else save(path, state)
    refused(path, "both called 'transformer_layers.0.bias'")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_counters_of_batch_norms_are_left_out(tmp_path, suffix):
    names = ("num_batches_tracked", "nn.norm.num_batches_tracked", "a.b.num_batches_tracked")
    state = weights() | {name: torch.tensor(k) for k, name in enumerate(names)}
    path = tmp_path / f"a{suffix}"
    save_file(state, path) if suffix == ".safetensors" else save(path, state)
    assert read_checkpoint(path).weights.keys() == weights().keys()


@pytest.mark.parametrize("form", ["apart", "of one storage", "safetensors"])
def test_absurdly_many_tensors_are_refused_before_they_are_made(tmp_path, monkeypatch, form):
    for module in (pickle_program, safe_archive):
        monkeypatch.setattr(module, "MOST_TENSORS", 50)
    storage = torch.zeros(1)
    state = {
        f"transformer_layers.{k}.w": storage[:0] if form == "of one storage" else torch.zeros(0)
        for k in range(51)
    }
    path = tmp_path / ("a.safetensors" if form == "safetensors" else "a.pt")
    save_file(state, path) if form == "safetensors" else save(path, state)
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr(model_files, "load_file", None)
    refused(path, "than 50 tensors|at most 50")


def test_loaded_weights_outlive_the_file(tmp_path):
    path = save(tmp_path / "a.pt", weights())
    found = read_checkpoint(path).weights
    path.write_bytes(b"\xff" * path.stat().st_size)
    path.unlink()
    assert torch.equal(found["linear_3d_embed.weight"], weights()["linear_3d_embed.weight"])


def test_module_versions_in_a_state_dict_are_harmless(tmp_path):
    module = torch.nn.Sequential(OrderedDict(transformer_layers=torch.nn.Linear(2, 2)))
    found = read_checkpoint(save(tmp_path / "a.pt", module.state_dict()))
    assert set(found.weights) == {"transformer_layers.weight", "transformer_layers.bias"}
    parameters = dict(module.named_parameters())
    assert (
        not read_checkpoint(save(tmp_path / "b.pt", parameters))
        .weights["transformer_layers.weight"]
        .requires_grad
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_named(tmp_path, value):
    state = weights()
    state["linear_3d_embed.weight"][1, 2] = value
    refused(save(tmp_path / "a.pt", state), r"linear_3d_embed\.weight.*not finite")
    save_file(state, tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", r"linear_3d_embed\.weight.*not finite")
    with pytest.raises(FewstepError, match="not finite"):
        write_model(tmp_path, state, {})


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool, torch.complex64])
def test_weights_of_another_kind_are_named(tmp_path, dtype):
    state = weights() | {"transformer_layers.0.scale": torch.ones(3).to(dtype)}
    refused(save(tmp_path / "a.pt", state), r"transformer_layers\.0\.scale")


def test_files_without_a_network_are_errors(tmp_path):
    refused(save(tmp_path / "a.pt", {"fc.weight": torch.ones(2)}), "no protein network")
    refused(save(tmp_path / "b.pt", {}), "no weights")
    refused(save(tmp_path / "c.pt", {"epoch": 3}), "more than tensors")
    refused(save(tmp_path / "d.pt", torch.ones(3)), "Tensor")
    refused(
        save(tmp_path / "e.pt", weights() | {"nn.linear_3d_embed.weight": torch.ones(1)}), "both"
    )


def test_adapters_without_an_alpha_are_an_error(tmp_path):
    state = weights() | {
        "linear_3d_embed.lora_A": torch.ones(1, 3),
        "linear_3d_embed.lora_B": torch.ones(2, 1),
    }
    path = save(tmp_path / "a.pt", state)
    refused(path, "alpha")
    merged = read_checkpoint(path, lora_alpha=2.0).weights["linear_3d_embed.weight"]
    assert torch.equal(merged, weights()["linear_3d_embed.weight"] + 2)
    content = {"state_dict": state, "hyper_parameters": {"cfg_exp": {"lora": {"lora_alpha": "x"}}}}
    refused(save(tmp_path / "b.ckpt", content), "bad lora_alpha")
