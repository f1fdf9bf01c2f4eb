"""Contract: every checkpoint form gives the same weights; nothing in a file ever runs.

Whatever is wrong with a file is one line of FewstepError.
"""

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from domains.errors import FewstepError
from domains.protein.checkpoint import read_checkpoint, read_model, write_model
from domains.protein.lora import has_lora


def golden_files(golden: Path, pattern: str) -> list[Path]:
    files = sorted((golden / "protein/ckpt").glob(pattern))
    assert files, f"no {pattern}"
    return files


def weights(scale: float = 1.0) -> dict[str, torch.Tensor]:
    return {
        "linear_3d_embed.weight": scale * torch.arange(6.0).reshape(2, 3),
        "transformer_layers.0.bias": torch.full((4,), scale),
    }


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def rewrite(source: Path, target: Path, change, compression: int = zipfile.ZIP_STORED) -> Path:
    """Copy an archive; ``change(name, data)`` gives new entries or None to leave one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            if (entry := change(name, old.read(name))) is not None:
                new.writestr(*entry)
    return target


def refused(path: Path, message: str = "[.]", **options: float) -> str:
    with pytest.raises(FewstepError, match=message) as error:
        read_checkpoint(path, **options)
    text = str(error.value)
    assert "\n" not in text and len(text) < 700
    return text


# What the golden files hold


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


def test_interpolations_stay_as_they_are(golden):
    raw = [
        value
        for path in golden_files(golden, "*.ckpt")
        for value in (read_checkpoint(path, lora_alpha=None).network or {}).values()
        if isinstance(value, str) and "${" in value
    ]
    assert raw


def test_student_files_hold_the_weights_of_the_averaged_checkpoint(golden):
    [ema] = [p for p in golden_files(golden, "chk_*.ckpt") if p.stem.endswith("-EMA")]
    expected = read_checkpoint(ema).weights
    for path in golden_files(golden, "student_*"):
        found = read_checkpoint(path)
        assert found.source_format == "state-dict" and found.network is None
        assert found.weights.keys() == expected.keys()
        assert all(torch.equal(found.weights[name], expected[name]) for name in expected)


def test_averaged_weights_differ_from_raw_ones(golden):
    raw, ema = sorted(golden_files(golden, "chk_*.ckpt"), key=lambda p: p.stem.endswith("-EMA"))
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


# Forms


@pytest.mark.parametrize("prefix", ["", "nn.", "model.nn.", "module.model.nn.", "module.nn."])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_wrappers_prefixes_are_stripped(tmp_path, prefix, suffix):
    state = OrderedDict((prefix + name, value) for name, value in weights().items())
    found = read_checkpoint(save(tmp_path / f"a{suffix}", state)).weights
    assert found.keys() == weights().keys()
    assert all(torch.equal(found[name], value) for name, value in weights().items())


def test_plain_configuration_and_motif_flag_are_found(tmp_path):
    config = {
        "model": {
            "target_pred": "x_1",
            "nn": {"nlayers": 2, "dir": "${oc.env:A}/b", "l": [1, None]},
        },
        "training": {"motif_conditioning": True},
    }
    content = {"state_dict": weights(), "hyper_parameters": {"cfg_exp": config}}
    found = read_checkpoint(save(tmp_path / "a.ckpt", content))
    assert found.network == config["model"]["nn"]
    assert (found.target, found.motif, found.source_format) == ("x_1", True, "lightning")


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


# Hostile files: the marker must never appear


class Evil:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class EvilEval(Evil):
    def __reduce__(self):
        return eval, (f"open({str(self.marker)!r}, 'w')",)


@pytest.mark.parametrize("evil", [Evil, EvilEval])
@pytest.mark.parametrize("protocol", [2, 4])
def test_payloads_stay_inert(tmp_path, evil, protocol):
    marker = tmp_path / "ran"
    bomb, good = evil(marker), {"state_dict": weights()}
    harmless = {"a": good | {"callbacks": bomb, "optimizer_states": [bomb]}}
    deadly = {
        "b": bomb,
        "c": {"state_dict": bomb},
        "d": {"state_dict": weights() | {"x": bomb}},
        "e": weights() | {"x": bomb},
        "f": good | {"hyper_parameters": {"cfg_exp": {"model": {"nn": {"x": bomb}}}}},
        "g": [bomb],
    }
    for name, content in (harmless | deadly).items():
        path = tmp_path / f"{name}.ckpt"
        torch.save(content, path, pickle_protocol=protocol)
        if name in harmless:
            assert read_checkpoint(path).weights.keys() == weights().keys()
        else:
            refused(path)
        assert not marker.exists()
    # The payload is real: the ordinary unpickler does run it.
    pickle.loads(pickle.dumps(bomb))
    assert marker.exists()


def with_program(tmp_path: Path, program: bytes) -> Path:
    source = save(tmp_path / "source.pt", weights())
    return rewrite(
        source,
        tmp_path / "changed.pt",
        lambda name, data: (name, program if name.endswith("/data.pkl") else data),
    )


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.",
        b"\x80\x02cbuiltins\ngetattr\ncbuiltins\ndict\nX\x04\x00\x00\x00keys\x86R.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x02}", b"", b"\x00", b"garbage", b"\x80\x02N.", b"\x80\x02K\x05.",
    ],
)  # fmt: skip
def test_strange_programs_are_errors(tmp_path, program):
    refused(with_program(tmp_path, program))


def test_memo_slots_that_would_take_gigabytes_are_refused_unread(tmp_path):
    refused(with_program(tmp_path, b"\x80\x02}r\xff\xff\xff\x7f."), "absurd")


def test_configuration_that_multiplies_is_an_error(tmp_path):
    node: dict = {}
    for _ in range(60):
        node = {"a": node, "b": node}
    loop: dict = {}
    loop["self"] = loop
    for network, message in ((node, "large"), (loop, "itself")):
        content = {
            "state_dict": weights(),
            "hyper_parameters": {"cfg_exp": {"model": {"nn": network}}},
        }
        refused(save(tmp_path / "a.ckpt", content), message)


def test_pickled_modules_are_unsupported(tmp_path):
    refused(save(tmp_path / "a.pt", torch.nn.Linear(2, 2)), "Linear")
    refused(save(tmp_path / "b.pt", {"ema": torch.nn.Linear(2, 2)}), "Linear")
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"ema": Evil(tmp_path / "ran")}))
    refused(tmp_path / "c.pkl", "unsupported")
    (tmp_path / "d.pt").write_bytes(pickle.dumps({"ema": Evil(tmp_path / "ran")}))
    refused(tmp_path / "d.pt", "not a zip")
    assert not (tmp_path / "ran").exists()


def test_torchscript_never_reaches_its_loader(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("jit.load was called"))
    source = save(tmp_path / "a.pt", weights())
    path = rewrite(source, tmp_path / "b.pt", lambda name, data: (name, data))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].split('/')[0]}/constants.pkl", b"\x80\x02).")
    refused(path, "TorchScript")


def test_two_readers_must_see_one_archive(tmp_path):
    """A directory that starts elsewhere for torch than for Python is refused."""
    # Same entries, other programs: the archives differ only in what the pickle does.
    hidden = with_program(tmp_path, b"\x80\x02}.").read_bytes()
    shown = with_program(tmp_path, b"\x80\x02].").read_bytes()
    (tmp_path / "both.pt").write_bytes(hidden + shown)
    refused(tmp_path / "both.pt", "ambiguous")


# Damaged files


def test_missing_and_odd_paths_are_errors(tmp_path):
    refused(tmp_path / "no.ckpt", "no file")
    refused(tmp_path, "not a file")
    for content in (b"", b"P", b"PK\x03\x04", b"\x00" * 100, b"<html>not found</html>"):
        (tmp_path / "a.ckpt").write_bytes(content)
        refused(tmp_path / "a.ckpt", "zip|damaged")


def test_every_truncation_is_an_error(tmp_path):
    whole = save(tmp_path / "a.pt", weights()).read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        (tmp_path / "b.pt").write_bytes(whole[: int(share * len(whole))])
        refused(tmp_path / "b.pt")
    (tmp_path / "b.pt").write_bytes(whole[:-1])
    refused(tmp_path / "b.pt")


def test_flipped_bytes_never_give_a_traceback(tmp_path):
    whole = save(tmp_path / "a.pt", weights()).read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        (tmp_path / "b.pt").write_bytes(damaged)
        try:
            read_checkpoint(tmp_path / "b.pt")
        except FewstepError as error:
            assert "\n" not in str(error)


def test_zip_bombs_are_errors(tmp_path):
    source = save(tmp_path / "a.pt", weights() | {"zeros": torch.zeros(3_000_000)})
    path = rewrite(source, tmp_path / "b.pt", lambda n, d: (n, d), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    refused(path, "unpacks")


def test_lying_sizes_in_the_directory_are_errors(tmp_path):
    data = bytearray(save(tmp_path / "a.pt", weights()).read_bytes())
    start = data.rindex(b"PK\x01\x02")
    struct.pack_into("<II", data, start + 20, 2**31, 2**31)
    (tmp_path / "a.pt").write_bytes(data)
    refused(tmp_path / "a.pt", "unpacks")


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "\\evil", "a/..\\..\\evil"]
)
def test_entries_outside_the_archive_are_errors(tmp_path, name):
    path = rewrite(save(tmp_path / "a.pt", weights()), tmp_path / "b.pt", lambda n, d: (n, d))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    refused(path, "outside the archive")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_foreign_and_double_entries_are_errors(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("readme.txt", b"hello")
    refused(tmp_path / "a.pt", "torch.save")
    path = rewrite(save(tmp_path / "b.pt", weights()), tmp_path / "c.pt", lambda n, d: (n, d))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"\x80\x02N.")
    refused(path, "torch.save")


def test_views_larger_than_their_storage_are_errors(tmp_path):
    huge = torch.zeros(1).expand(1 << 40)
    refused(save(tmp_path / "a.pt", weights() | {"huge": huge}), "more memory")


# Wrong weights


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


# Canonical form


CONFIG = {"network": {"nlayers": 1}, "target": "v", "motif": True, "note": [1, None]}


def test_canonical_form_survives(tmp_path):
    tied = torch.randn(4, 6)
    state = weights() | {"a": tied, "b": tied, "t": tied.T, "h": torch.ones(2).bfloat16()}
    write_model(tmp_path / "new", state, CONFIG)
    found, config = read_model(tmp_path / "new")
    assert config == CONFIG and found.keys() == state.keys()
    assert all(torch.equal(found[k], state[k]) and found[k].dtype == state[k].dtype for k in state)
    checkpoint = read_checkpoint(tmp_path / "new/model.safetensors")
    assert checkpoint.network == CONFIG["network"] and checkpoint.source_format == "safetensors"
    assert checkpoint.target == "v" and checkpoint.motif is True
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]
    write_model(tmp_path / "new", weights(2.0), {})
    assert read_model(tmp_path / "new")[1] == {}


def test_golden_weights_survive_the_canonical_form(golden, tmp_path):
    for path in golden_files(golden, "chk_*.ckpt"):
        source = read_checkpoint(path)
        write_model(tmp_path, source.weights, {"network": source.network, "target": source.target})
        found = read_checkpoint(tmp_path / "model.safetensors")
        assert (found.network, found.target) == (source.network, source.target)
        assert all(
            torch.equal(found.weights[name], source.weights[name]) for name in source.weights
        )


def test_safetensors_without_configuration_are_accepted(golden):
    for path in sorted((golden / "protein").glob("net_*/weights.safetensors")):
        found = read_checkpoint(path)
        assert found.network is None and found.weights.keys() == load_file(path).keys()


def test_pairs_that_do_not_match_are_errors(tmp_path):
    write_model(tmp_path / "a", weights(), CONFIG)
    write_model(tmp_path / "b", weights(2.0), CONFIG)
    (tmp_path / "b/model.safetensors").replace(tmp_path / "a/model.safetensors")
    with pytest.raises(FewstepError, match="sha256"):
        read_model(tmp_path / "a")
    refused(tmp_path / "a/model.safetensors", "sha256")
    with pytest.raises(FewstepError, match="no file"):
        read_model(tmp_path / "b")
    (tmp_path / "a/model.json").unlink()
    with pytest.raises(FewstepError, match="no file"):
        read_model(tmp_path / "a")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "{", "[" * 100_000, '{"format": "fewstep-model-1"}']
)
def test_damaged_descriptions_are_errors(tmp_path, text):
    write_model(tmp_path, weights(), CONFIG)
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(FewstepError, match=r"model\.json"):
        read_model(tmp_path)


def test_bad_settings_beside_the_weights_are_errors(tmp_path):
    for bad in ({"network": []}, {"target": 3}, {"motif": "yes"}):
        write_model(tmp_path, weights(), CONFIG | bad)
        refused(tmp_path / "model.safetensors", f"bad {next(iter(bad))}")


def lying(header: dict | bytes, data: bytes = b"\x00" * 8, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x00" * 7, lying(b"{"), lying({}, length=2**62), lying({}, length=9),
        lying({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**40]}}),
        lying({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}),
        lying({"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 8]}}),
        lying({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}),
        lying({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}),
        lying({"a": {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]}}),
        lying({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}), lying({}, b""),
    ],
)  # fmt: skip
def test_lying_safetensors_headers_are_errors(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    refused(tmp_path / "a.safetensors", r"safetensors")
