"""Contract: the fold classifier is the published one, edge for edge and number for number.

Golden values come from the reference program with weights of a stated recipe. Also: what it
can't see (handedness), what it should not depend on (the batch), and files that are refused.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from domains.errors import FewstepError
from domains.protein.metrics.folds.gearnet import LEVELS, GearNet, load_gearnet
from domains.protein.metrics.folds.gearnet_graph import MOST_NEIGHBOURS, build_graph

VARIANTS = ("base", "single", "rotated", "mirrored_z", "translated", "pdb_rounded", "masked")


@pytest.fixture(scope="module")
def directory(golden: Path) -> Path:
    if not (golden / "gearnet").is_dir():
        pytest.skip(f"no golden values of GearNet in {golden}")
    return golden / "gearnet"


@pytest.fixture(scope="module")
def settings(directory: Path) -> dict:
    return json.loads((directory / "small_meta.json").read_text())["config"]


@pytest.fixture(scope="module")
def small(directory: Path, settings: dict) -> GearNet:
    return load_gearnet(directory / "small_weights.safetensors", settings["radius"])


def case(directory: Path, variant: str) -> dict[str, np.ndarray]:
    with np.load(directory / "small_io.npz") as arrays:
        found = {k.removeprefix(f"{variant}."): arrays[k] for k in arrays if k.startswith(variant)}
    if not found:
        pytest.skip(f"{variant} is not in this set of golden values")
    return found


def graph_of(values: dict[str, np.ndarray], settings: dict):
    ends = np.cumsum(values["in.lengths"])[:-1]
    chains = [torch.from_numpy(part) for part in np.split(values["in.coords"], ends)]
    masks = [torch.ones(len(chain), dtype=torch.bool) for chain in chains]
    if "in.mask" in values:
        masks = [torch.from_numpy(m) for m in np.split(values["in.mask"].astype(bool), ends)]
    places = [mask.nonzero().squeeze(1) for mask in masks]
    kept = [chain[mask] for chain, mask in zip(chains, masks, strict=True)]
    return build_graph(kept, places, relations=settings["num_relation"], radius=settings["radius"])


def edges_of(graph) -> np.ndarray:
    edges = torch.stack((graph.source, graph.target, graph.relation)).numpy()
    return edges[:, np.lexsort(edges)]


def apart(found: torch.Tensor, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest value."""
    return float(np.abs(found.numpy() - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_golden_network(directory: Path, settings: dict, small: GearNet, variant: str) -> None:
    values = case(directory, variant)
    graph = graph_of(values, settings)
    if "edges" in values:
        assert np.array_equal(edges_of(graph), values["edges"])
    found = small(graph)
    assert apart(found.features, values["out.protein_feature"]) < 1e-5
    for level in LEVELS:
        assert apart(found.logits[level], values[f"out.pred_{level}"]) < 1e-5
    double = load_gearnet(directory / "small_weights.safetensors", settings["radius"]).double()
    assert apart(double(graph).features, values["out64.protein_feature"]) < 1e-6


def test_golden_inputs(directory: Path, settings: dict, small: GearNet) -> None:
    values = case(directory, "base")
    if "edge_feat" not in values:
        pytest.skip("inputs are in the full set of golden values")
    graph = graph_of(values, settings)
    nodes, edges = small.inputs(graph)
    order = np.lexsort(torch.stack((graph.source, graph.target, graph.relation)).numpy())
    assert np.abs(nodes.numpy() - values["node_feat"]).max() < 1e-5
    assert np.abs(edges.numpy()[order] - values["edge_feat"]).max() < 1e-4


def test_golden_cap_of_neighbours(directory: Path, settings: dict, small: GearNet) -> None:
    with np.load(directory / "cap_io.npz") as arrays:
        values = dict(arrays)
    graph = graph_of(values, settings)
    assert np.array_equal(edges_of(graph), values["emulated_cuda163.edges"])
    assert apart(small(graph).features, values["emulated_cuda163.protein_feature"]) < 1e-5
    near = values["no_cap.edges"][1, values["no_cap.edges"][2] == settings["num_relation"] - 1]
    assert graph.capped == (np.bincount(near) > MOST_NEIGHBOURS).sum() > 0


def test_pickled_and_canonical_weights_are_the_same(directory: Path, small: GearNet) -> None:
    path = directory / "small_gearnet_ca.pth"
    if not path.exists():
        pytest.skip("the torch file is in the full set of golden values")
    for name, value in load_gearnet(path).state_dict().items():
        assert torch.equal(value, small.state_dict()[name])


def recipe(directory: Path, salt: str) -> dict[str, torch.Tensor]:
    """Return the weights of the full width that golden values were made with."""
    keys = json.loads((directory / "real_config_state_dict_keys.json").read_text())
    with np.load(directory / "full_bn_stats.npz") as arrays:
        statistics = dict(arrays)
    weights = {}
    for key, (shape, _) in keys.items():
        if key.endswith("num_batches_tracked"):
            continue
        if key in statistics:
            weights[key] = torch.from_numpy(statistics[key])
            continue
        draws = np.random.default_rng(zlib.crc32((salt + key).encode()))
        value = draws.standard_normal(shape).astype(np.float32)
        head, norm = "pred_head" in key, "module.0." in key or "module.4." in key
        if key.startswith("atom_embedding"):
            pass
        elif norm:
            value = 1 + 0.2 * value if key.endswith("weight") else 0.2 * value
        elif key.endswith("weight"):
            value = value * (6.0 if head else 1.4) / np.sqrt(shape[1])
        else:
            value = (0.1 if head else 0.2) * value
        weights[key] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return weights


@pytest.fixture(scope="module")
def full(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> GearNet:
    if not (directory / "full_io.npz").exists():
        pytest.skip("the full width is in the full set of golden values")
    salt = json.loads((directory / "full_meta.json").read_text())["salt"]
    path = tmp_path_factory.mktemp("gearnet") / "full.safetensors"
    save_file(recipe(directory, salt), path)
    return load_gearnet(path)


def test_golden_full_width(directory: Path, full: GearNet) -> None:
    with np.load(directory / "full_io.npz") as arrays:
        values = dict(arrays)
    graph = graph_of(values, {"num_relation": 6, "radius": 10.0})
    found = full(graph)
    assert apart(found.features, values["out.protein_feature"]) < 3e-4
    for level in LEVELS:
        assert apart(found.logits[level], values[f"out.pred_{level}"]) < 3e-4


def test_golden_end_to_end(directory: Path, full: GearNet) -> None:
    from domains.protein.metrics.folds import fold_distribution as folds

    if not (directory / "endtoend_io.npz").exists():
        pytest.skip("whole runs are in the full set of golden values")
    with np.load(directory / "endtoend_io.npz") as arrays:
        ends = np.cumsum(arrays["fake.lengths"])[:-1]
        chains = np.split(arrays["fake.coords"].astype(np.float64) / 10, ends)
    reference = folds.read_reference(directory / "ref_eval_ca_features.pth")
    found = folds.FoldStatistics.of(full.classify(chains))
    expected = json.loads((directory / "metrics_meta.json").read_text())["endtoend"]["results"]
    assert folds.fpsd(found, reference) == pytest.approx(expected["PDB_FID"], rel=1e-4)
    for level in LEVELS:
        jsd = folds.fold_jsd(found, reference, level)
        assert jsd == pytest.approx(expected[f"PDB_fJSD_{level}"], abs=5e-4)
        assert folds.fold_score(found, level) == pytest.approx(expected[f"fS_{level}"], rel=5e-4)


def coil(length: int, seed: int) -> np.ndarray:
    """A chain in nm with steps of 0.38."""
    steps = np.random.default_rng(seed).standard_normal((length, 3))
    return np.cumsum(0.38 * steps / np.linalg.norm(steps, axis=1, keepdims=True), axis=0)


def test_batches_do_not_matter_and_mirrors_are_not_seen(small: GearNet) -> None:
    chains = [coil(20 + k, k) for k in range(14)]
    together = small.classify(chains)
    alone = torch.cat([small.classify([chain]).features for chain in chains])
    scale = alone.abs().max()
    assert (together.features - alone).abs().max() < 1e-4 * scale
    mirrored = small.classify([chain * [1, 1, -1] for chain in chains])
    assert (together.features - mirrored.features).abs().max() < 1e-4 * scale
    turned = small.classify([chain[:, [2, 0, 1]] for chain in chains])
    assert (together.features - turned.features).abs().max() > 1e-3 * scale


def test_exactly_on_the_radius_is_not_near() -> None:
    line = torch.tensor([[0.0, 0, 0], [5, 0, 0], [10, 0, 0], [15, 0, 0], [20, 0, 0]])
    graph = build_graph([line], radius=10.0)
    space = graph.relation == 5
    assert (graph.source[space] - graph.target[space]).abs().max() == 1
    assert set(graph.relation[~space].tolist()) == {0, 1, 3, 4}


@pytest.mark.parametrize(
    "chain", [np.zeros((1, 3)), np.full((9, 3), np.nan)], ids=["one residue", "NaN"]
)
def test_chains_that_are_none_are_refused(small: GearNet, chain: np.ndarray) -> None:
    with pytest.raises(FewstepError, match="chain to classify"):
        small.classify([chain])
    with pytest.raises(FewstepError, match="no protein"):
        small.classify([])


def blocks(name: str, inside: int, outside: int, wide: bool) -> dict[str, torch.Tensor]:
    """Return weights of a block: norm, linear and, if it is wide, bias and norm."""
    source = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    linear = torch.randn(outside, inside, generator=source) / inside**0.5
    found = {f"{name}.module.3.weight": linear}
    sizes = {0: inside}
    if wide:
        found[f"{name}.module.3.bias"], sizes[4] = torch.zeros(outside), outside
    for place, size in sizes.items():
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            found[f"{name}.module.{place}.{part}"] = torch.full((size,), float(value))
    return found


def network(message: int, mixed: int) -> dict[str, torch.Tensor]:
    """Return weights of four layers, of 24 channels before the first and 40 after each."""
    weights = {"atom_embedding.weight": torch.ones(1, 12), **blocks("mlp", 40, 16, True)}
    for level, classes in zip(LEVELS, (5, 7, 9), strict=True):
        weights[f"pred_head_{level}.weight"] = torch.ones(classes, 16)
        weights[f"pred_head_{level}.bias"] = torch.zeros(classes)
    for number, inside in enumerate((24, 40, 40, 40)):
        name, between = f"layers.{number}", message or inside
        weights |= blocks(f"{name}.input", inside, between, True)
        weights |= blocks(f"{name}.edge_input", 16, between, True)
        weights |= blocks(f"{name}.linear", 6 * between, mixed, False)
        weights |= blocks(f"{name}.output", mixed, 40, False)
    return weights | blocks("layers.0.identity", 24, 40, False)


# As wide as the layer's input, as its output, or as neither.
@pytest.mark.parametrize(("message", "mixed"), [(0, 40), (40, 40), (24, 24), (20, 28)])
def test_widths_are_read_off_the_weights(tmp_path: Path, message: int, mixed: int) -> None:
    weights = network(message, mixed)
    save_file(weights, tmp_path / "wide.safetensors")
    net = load_gearnet(tmp_path / "wide.safetensors")
    assert len(net.layers) == 4 and set(weights) <= set(net.state_dict())
    found = net.classify([coil(20, 0), coil(31, 1)])
    assert found.features.shape == (2, 16) and bool(torch.isfinite(found.features).all())
    assert (found.features[0] - found.features[1]).abs().max() > 0.1
    # The first layer, written out.
    graph = build_graph([torch.from_numpy(np.round(10 * coil(20, 0), 3)).float()])
    nodes, edges = net.inputs(graph)

    def block(name: str, value: torch.Tensor, wide: bool) -> torch.Tensor:
        after = 0.1 * value.minimum(torch.zeros(())) + value.maximum(torch.zeros(()))
        after = after @ weights[f"layers.0.{name}.module.3.weight"].T
        return torch.nn.functional.leaky_relu(after, 0.1) if wide else after

    messages = block("input", nodes, True)[graph.source] + block("edge_input", edges, True)
    sums = torch.zeros(20, 6, messages.shape[1])
    sums.index_put_((graph.target, graph.relation), messages, accumulate=True)
    expected = block("output", block("linear", sums.flatten(1), False), False)
    expected = expected + block("identity", nodes, False)
    assert torch.allclose(net.layers[0](nodes, edges, graph), expected, rtol=1e-3, atol=1e-3)


def test_widths_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    good = network(0, 40)
    carried = {name: value for name, value in good.items() if "identity" not in name}
    for bad, said in (
        (carried, "identity is not there"),
        (good | {"atom_embedding.weight": torch.ones(1, 16)}, "do not follow"),
        (good | blocks("mlp", 24, 16, True), "do not follow"),
        (good | blocks("layers.2.edge_input", 8, 40, True), "different edges"),
    ):
        save_file(bad, tmp_path / "bad.safetensors")
        with pytest.raises(FewstepError, match=said):
            load_gearnet(tmp_path / "bad.safetensors")


def test_other_files_are_refused(directory: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    weights = load_file(directory / "small_weights.safetensors")
    for change in (
        {"layers.0.linear.module.3.weight": torch.zeros(3, 7)},
        {"atom_embedding.weight": torch.zeros(3, 16)},
        {"pred_head_T.bias": torch.zeros(2)},
        {"something.else": torch.zeros(2)},
    ):
        save_file({**weights, **change}, tmp_path / "other.safetensors")
        with pytest.raises(FewstepError, match="GearNet"):
            load_gearnet(tmp_path / "other.safetensors")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(FewstepError, match="no state dict"):
        load_gearnet(tmp_path / "list.pth")
    with pytest.raises(FewstepError, match="no file"):
        load_gearnet(tmp_path / "none.pth")
