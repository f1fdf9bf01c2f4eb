"""Contract: weights and descriptions that lie or do not fit are one line and exit code 2.

A case is: what is wrong with the file → the file → words of the line.
"""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile.readers import attempt
from refusals import Place
from safetensors.torch import load_file, save

from domains.files.provenance import sha256

# Weights in safetensors: the header lies


def lying(header: Any, body: bytes = bytes(4), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def one(shape: list, offsets: list, kind: str = "F32") -> dict:
    return {"a": {"dtype": kind, "shape": shape, "data_offsets": offsets}}


def two(first: list[int], second: list[int]) -> dict:
    return {"b": one([1], second)["a"], **one([1], first)}


HEADERS: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "header too small"),
    "seven bytes": (bytes(7), "header too small"),
    "a header of 2^63 bytes": (lying({}, length=1 << 63), "header too large"),
    "a header of 2^64 - 1 bytes": (lying({}, length=(1 << 64) - 1), "header too large"),
    "a header beyond the file": (lying({}, length=1000), "invalid header length"),
    "a header that is no JSON": (lying(b"{{{{"), "invalid JSON"),
    "a header that is a list": (lying(b"[]"), "invalid JSON"),
    "a header that is no UTF-8": (lying(b"\xff\xfe"), "UTF-8"),
    "a header of a thousand lists": (lying(b"[" * 1000), "invalid JSON"),
    "no tensors": (lying({}, b""), "no weights"),
    "only metadata": (lying({"__metadata__": {"a": "b"}}, b""), "no weights"),
    "metadata of numbers": (lying({"__metadata__": {"a": 1}, **one([1], [0, 4])}), "invalid JSON"),
    "a tensor beyond the file": (lying(one([2], [0, 8])), "not fully covered"),
    "tensors that overlap": (lying(two([0, 4], [0, 4])), "invalid offset"),
    "tensors with a hole between": (lying(two([0, 4], [8, 12]), bytes(12)), "invalid offset"),
    "bytes that belong to none": (lying(one([1], [0, 4]), bytes(12)), "not fully covered"),
    "a negative size": (lying(one([-1], [0, 4])), "invalid JSON"),
    "a negative offset": (lying(one([1], [-4, 0])), "invalid JSON"),
    "an end before its beginning": (lying(one([1], [4, 0])), "invalid offset"),
    "a size that overflows": (lying(one([1 << 62, 8], [0, 4])), "overflow"),
    "a size with a fraction": (lying(one([1.5], [0, 4])), "invalid JSON"),
    "a size that is not its bytes'": (lying(one([2], [0, 4])), "safetensors"),
    "an unknown kind of number": (lying(one([1], [0, 4], "Q9")), "unknown variant"),
    "integers": (lying(one([1], [0, 4], "I32")), "floating-point"),
    "truths": (lying(one([4], [0, 4], "BOOL")), "floating-point"),
    "8-bit floats": (lying(one([4], [0, 4], "F8_E4M3")), "floating-point"),
    "five thousand dimensions": (lying(one([1] * 5000, [0, 4])), "5000 dimensions"),
    "infinity in float16": (lying(one([2], [0, 4], "F16"), b"\0\x7c\0\0"), "not finite"),
    "NaN": (lying(one([1], [0, 4]), b"\0\0\xc0\x7f"), "not finite"),
    "a name of a terminal's commands": (
        lying({"\x1b[2J\n": one([1], [0, 4])["a"]}, b"\0\0\xc0\x7f"),
        r"weight '\x1b[2J\n' in",
    ),
    "a name of 100,000 letters": (
        lying({"a" * 100_000: one([1], [0, 4])["a"]}, b"\0\0\xc0\x7f"),
        "not finite",
    ),
    "a pickle": (pickle.dumps({"a": 1}), "safetensors"),
}


@pytest.mark.parametrize(("content", "words"), HEADERS.values(), ids=HEADERS)
def test_headers(tmp_path: Path, content: bytes, words: str) -> None:
    line = attempt("weights", content, tmp_path)
    assert line and words in line, line
    assert "\x1b" not in line


# Models whose parts don't fit, with the right checksum


Weights = dict[str, torch.Tensor]


def first(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Weights], Weights]:
    """Change the first layer's weight."""
    name = "linear_3d_embed.weight"
    return lambda weights: weights | {name: change(weights[name]).contiguous()}


def filled(value: float) -> Callable[[Weights], Weights]:
    return first(lambda w: torch.full_like(w, value))


WEIGHTS: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "transposed": (first(lambda w: w.T), "misshapes 1 tensors"),
    "flattened": (first(lambda w: w.flatten()), "misshapes 1 tensors"),
    "a single number": (first(lambda w: w[0, 0].clone()), "misshapes 1 tensors"),
    "of no size": (first(lambda w: w[:0]), "misshapes 1 tensors"),
    "one missing": (lambda w: dict(list(w.items())[1:]), "lacks 1 tensors"),
    "one too many": (lambda w: w | {"extra": torch.zeros(1)}, "also has 1 tensors"),
    "renamed": (lambda w: {f"x.{k}": v for k, v in w.items()}, "lacks"),
    "none": (lambda w: {}, "no weights"),
    "NaN": (filled(np.nan), "not finite"),
    "infinite": (filled(np.inf), "not finite"),
    "minus infinite": (filled(-np.inf), "not finite"),
    "float16 that has overflowed": (first(lambda w: (w + 1e6).half()), "not finite"),
    "integers": (first(lambda w: w.int()), "floating-point"),
    "complex": (first(lambda w: w.to(torch.complex64)), "floating-point"),
    "beyond float32": (first(lambda w: w.double() * 0 + 1e300), "NaN or infinite"),
    "so large that samples overflow": (filled(3e38), "NaN or infinite"),
}


@pytest.mark.parametrize(("change", "words"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights(place: Place, change: Callable[[Weights], Weights], words: str) -> None:
    path = place / "teacher/model.safetensors"
    whole = {name: value.clone() for name, value in load_file(path).items()}
    path.write_bytes(save(change(whole)))
    sidecar = place / "teacher/model.json"
    content = json.loads(sidecar.read_text()) | {"sha256": sha256(path)}
    sidecar.write_text(json.dumps(content))
    assert words in place.generate(place / "run.yaml")


# model.json


SIDECARS: dict[str, tuple[Callable[[dict], Any], str]] = {
    "a list": (lambda c: [c], "a JSON object is expected"),
    "null": (lambda c: None, "a JSON object is expected"),
    "another format": (lambda c: c | {"format": "x"}, "of another kind"),
    "a checksum that is a number": (lambda c: c | {"sha256": 5}, "not the file"),
    "no checksum": (lambda c: {k: c[k] for k in c if k != "sha256"}, "not the file"),
    "a config that is text": (lambda c: c | {"config": "x"}, "has no config"),
    "no network": (lambda c: c | {"config": {}}, "no Proteina network"),
    "a network that is a list": (
        lambda c: c | {"config": c["config"] | {"network": []}},
        "no Proteina network",
    ),
    "fold classes that are text": (
        lambda c: c | {"config": c["config"] | {"cath_mapping": "x"}},
        "CATH mapping",
    ),
    "fold classes beyond their table": (
        lambda c: (
            c | {"config": c["config"] | {"cath_mapping": {"C": {"1": 99}, "A": {}, "T": {}}}}
        ),
        "bad rows at CATH level C",
    ),
}


@pytest.mark.parametrize(("change", "words"), SIDECARS.values(), ids=SIDECARS)
def test_sidecars(place: Place, change: Callable[[dict], Any], words: str) -> None:
    path = place / "teacher/model.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    assert words in place.generate(place / "run.yaml")


TEXTS = {
    "no JSON": b"{",
    "lists 100,000 deep": b"[" * 100_000,
    "a number of 5,000 digits": b'{"format": ' + b"9" * 5000 + b"}",
    "UTF-16": '{"format": 1}'.encode("utf-16"),
    "binary": bytes(range(256)),
    "empty": b"",
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS)
def test_texts_of_the_sidecar(place: Place, content: bytes) -> None:
    (place / "teacher/model.json").write_bytes(content)
    assert "can't read" in place.generate(place / "run.yaml")
