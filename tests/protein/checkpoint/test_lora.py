"""Contract: merging gives what adapter and base give together; nothing is guessed."""

import math

import pytest
import torch

from domains.errors import FewstepError
from domains.protein.checkpoint.lora import has_lora, merge_lora


def adapter(path: str, weight: tuple[int, int], down: tuple[int, int], up: tuple[int, int]):
    generator = torch.Generator().manual_seed(len(path))
    shapes = {".weight": weight, ".lora_A": down, ".lora_B": up}
    return {path + end: torch.randn(*s, generator=generator) for end, s in shapes.items()}


@pytest.mark.parametrize(("n_out", "n_in"), [(5, 7), (6, 6)])
def test_merged_linear_equals_base_plus_low_rank_path(n_out, n_in):
    weights = adapter("a.linear_3d_embed", (n_out, n_in), (2, n_in), (n_out, 2))
    merged = merge_lora(weights, 8.0)
    x = torch.randn(3, n_in)
    down, up = weights["a.linear_3d_embed.lora_A"], weights["a.linear_3d_embed.lora_B"]
    expected = x @ weights["a.linear_3d_embed.weight"].T + (8.0 / 2) * ((x @ down.T) @ up.T)
    assert list(merged) == ["a.linear_3d_embed.weight"]
    torch.testing.assert_close(x @ merged["a.linear_3d_embed.weight"].T, expected)


@pytest.mark.parametrize(("rows", "dim"), [(5, 7), (6, 6)])
def test_merged_table_equals_base_plus_low_rank_lookup(rows, dim):
    weights = adapter("f.embedding_C", (rows, dim), (2, rows), (dim, 2))
    merged = merge_lora(weights, 3.0)["f.embedding_C.weight"]
    down, up = weights["f.embedding_C.lora_A"], weights["f.embedding_C.lora_B"]
    for row in range(rows):
        expected = weights["f.embedding_C.weight"][row] + 1.5 * (up @ down[:, row])
        torch.testing.assert_close(merged[row], expected)


def test_zero_adapter_changes_nothing_and_input_stays():
    weights = adapter("a", (4, 3), (2, 3), (4, 2)) | {"b.bias": torch.ones(4)}
    weights["a.lora_B"] = torch.zeros(4, 2)
    before = {name: value.clone() for name, value in weights.items()}
    merged = merge_lora(weights, 32.0)
    assert torch.equal(merged["a.weight"], before["a.weight"]) and "b.bias" in merged
    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_no_adapters_need_no_alpha():
    weights = {"a.weight": torch.ones(2, 2)}
    assert not has_lora(weights) and merge_lora(weights, None).keys() == weights.keys()


@pytest.mark.parametrize("alpha", [None, math.nan, math.inf])
def test_unknown_alpha_is_an_error(alpha):
    with pytest.raises(FewstepError, match="alpha"):
        merge_lora(adapter("a", (4, 3), (2, 3), (4, 2)), alpha)


@pytest.mark.parametrize("missing", [".weight", ".lora_A", ".lora_B"])
def test_incomplete_adapter_is_an_error(missing):
    weights = adapter("a", (4, 3), (2, 3), (4, 2))
    del weights["a" + missing]
    with pytest.raises(FewstepError, match="incomplete LoRA adapter a"):
        merge_lora(weights, 8.0)


@pytest.mark.parametrize(
    ("down", "up"), [((2, 5), (4, 2)), ((2, 3), (4, 3)), ((0, 3), (4, 0)), ((3, 3), (3, 3))]
)
def test_unfitting_shapes_are_an_error(down, up):
    with pytest.raises(FewstepError, match="do not fit"):
        merge_lora(adapter("a", (4, 3), down, up), 8.0)
