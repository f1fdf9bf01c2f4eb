"""Contract: a compact model is nearly the model, and is never mistaken for another."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from domains.errors import FewstepError
from domains.files.compact import _packed, _unpacked
from domains.files.model_files import read_model, write_compact, write_model


def weights(seed: int = 0) -> dict[str, Tensor]:
    """Matrices, a convolution, a row of zeros, an odd width, and what is too small to round."""
    source = torch.Generator().manual_seed(seed)
    made = {
        "matrix": torch.randn(64, 80, generator=source) * torch.rand(64, 1, generator=source),
        "odd": torch.randn(100, 45, generator=source),
        "convolution": torch.randn(27, 16, 16, generator=source),
        "norm": 1 + 0.1 * torch.randn(64, generator=source),
        "small": torch.randn(3, 5, generator=source),
    }
    made["matrix"][7] = 0
    return made


def moved(share: float) -> dict[str, Tensor]:
    """Weights that differ from ``weights`` by this share."""
    return {name: value + share * weights(1)[name] for name, value in weights().items()}


def error(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """Relative error over all weights."""
    assert found.keys() == wanted.keys()
    gap = sum(float((found[name] - wanted[name]).square().sum()) for name in wanted)
    return (gap / sum(float(value.square().sum()) for value in wanted.values())) ** 0.5


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_model(tmp_path / "teacher", weights(), {"kind": "teacher"})
    write_model(tmp_path / "student", moved(0.05), {"kind": "student"})
    return tmp_path


def size(directory: Path) -> int:
    return (directory / "model.safetensors").stat().st_size


def test_eight_bits_are_within_a_percent(place: Path):
    write_compact(place / "small", place / "teacher")
    found, config = read_model(place / "small")
    assert config == {"kind": "teacher"}
    assert 0 < error(found, weights()) < 0.01
    assert found["matrix"][7].abs().max() == 0
    assert size(place / "small") < 0.35 * size(place / "teacher")


def test_four_bits_of_a_difference_are_within_a_percent(place: Path):
    write_compact(place / "small", place / "teacher")
    write_compact(place / "smaller", place / "student", place / "small")
    found, config = read_model(place / "smaller")
    assert config == {"kind": "student"}
    assert 0 < error(found, moved(0.05)) < 0.01
    assert size(place / "smaller") < 0.62 * size(place / "small")


def test_two_bits_keep_most_of_a_small_difference(place: Path):
    write_model(place / "later", moved(0.06), {"kind": "later"})
    write_compact(place / "two", place / "later", place / "student", 2)
    write_compact(place / "four", place / "later", place / "student", 4)
    found, config = read_model(place / "two")
    assert config == {"kind": "later"}
    start = error(moved(0.05), moved(0.06))
    # Of normal numbers four levels leave .1188 of the square (Max 1960, table I).
    assert error(found, moved(0.06)) == pytest.approx(0.1188**0.5 * start, rel=0.05)
    assert size(place / "two") < 0.7 * size(place / "four")


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 45])
@pytest.mark.parametrize("bits", [2, 4])
def test_codes_are_unpacked_as_they_were(width: int, bits: int):
    codes = torch.randint(0, 2**bits, (3, width), generator=torch.Generator().manual_seed(width))
    codes = codes.to(torch.uint8)
    assert torch.equal(_unpacked(_packed(codes, bits), width, bits), codes)


def test_other_bits_are_refused(place: Path):
    with pytest.raises(FewstepError, match="4 or 2 bits"):
        write_compact(place / "odd", place / "student", place / "teacher", 3)


def test_what_is_read_and_written_again_stays(place: Path):
    write_compact(place / "small", place / "teacher")
    write_compact(place / "again", place / "small")
    first, second = (read_model(place / name)[0] for name in ("small", "again"))
    torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-7)


def test_a_difference_is_refused_without_its_base(place: Path):
    write_compact(place / "smaller", place / "student", place / "teacher")
    (place / "teacher").rename(place / "elsewhere")
    with pytest.raises(FewstepError, match="difference from the model teacher"):
        read_model(place / "smaller")
    write_model(place / "teacher", weights(3), {})
    with pytest.raises(FewstepError, match="is not the model that"):
        read_model(place / "smaller")


def test_a_base_must_be_beside_and_alike(place: Path):
    with pytest.raises(FewstepError, match="not beside"):
        write_compact(place / "deep" / "smaller", place / "student", place / "teacher")
    write_model(place / "other", {"matrix": torch.ones(2, 2)}, {})
    with pytest.raises(FewstepError, match="another architecture"):
        write_compact(place / "smaller", place / "student", place / "other")


@pytest.mark.parametrize("name", ["../teacher", "", 3, None])
def test_a_base_is_a_name_beside_it_and_no_path(place: Path, name: object):
    write_compact(place / "smaller", place / "student", place / "teacher")
    sidecar = place / "smaller" / "model.json"
    content = json.loads(sidecar.read_text())
    content["base"]["name"] = name
    sidecar.write_text(json.dumps(content))
    with pytest.raises(FewstepError, match="names no base model"):
        read_model(place / "smaller")


def test_integers_without_a_fitting_scale_are_refused(place: Path):
    from safetensors.torch import load_file, save_file

    from domains.files.provenance import sha256

    write_compact(place / "small", place / "teacher")
    path = place / "small" / "model.safetensors"
    stored = load_file(path)
    for changed in (
        stored | {"matrix.row_scale": torch.ones(3)},
        stored | {"matrix.row_scale": torch.ones(64, dtype=torch.int8)},
        stored | {"matrix": stored["matrix"].to(torch.uint8)},
        {name: value for name, value in stored.items() if name != "matrix.row_scale"},
        stored | {"matrix.row_scale": torch.full((64,), torch.nan)},
    ):
        save_file(changed, path)
        sidecar = path.with_suffix(".json")
        content = json.loads(sidecar.read_text())
        sidecar.write_text(json.dumps(content | {"sha256": sha256(path)}))
        with pytest.raises(FewstepError, match="matrix"):
            read_model(place / "small")
