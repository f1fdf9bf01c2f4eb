"""Contract: the canonical form gives back what was written, or says which file is wrong."""

import json
import struct

import pytest
import torch
from protein.checkpoint_files import golden_files, refused, weights
from safetensors.torch import load_file

from domains.errors import FewstepError
from domains.files.model_files import read_model, write_model
from domains.protein.checkpoint.proteina import read_checkpoint

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


def test_a_crash_between_the_two_files_leaves_no_pair(tmp_path, monkeypatch):
    write_model(tmp_path, weights(), CONFIG)

    def fails(path, content):
        raise KeyboardInterrupt

    monkeypatch.setattr("domains.files.model_files.write_json", fails)
    with pytest.raises(KeyboardInterrupt):
        write_model(tmp_path, weights(2.0), CONFIG)
    assert not (tmp_path / "model.json").exists()


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
