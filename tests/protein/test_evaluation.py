"""Contract: what is measured of a set is true, and what can't be measured is said."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from protein.designers import untrained_proxy

from domains.batch import Sample
from domains.evaluation.statistics.subsample import drawn
from domains.protein.data.dataset import load_domains
from domains.protein.evaluation import measure, quick
from domains.protein.gallery import gallery
from domains.protein.metric_texts import METRICS
from domains.protein.metrics.composition.relative_cross_nll import relative_cross_nll
from domains.protein.metrics.designability import proxy
from domains.protein.metrics.folds import distribution
from domains.protein.metrics.folds.fold_distribution import FoldStatistics, save_reference
from domains.protein.metrics.folds.gearnet import load_gearnet
from domains.protein.settings import ProteinEvaluate, ProteinGenerate

CHEAP = ProteinEvaluate(proxy=False, novelty_shortlist=2)


def natives(split: str, count: int, low: int = 50, high: int = 54) -> list[Sample]:
    found = load_domains().subset(split, low, high)
    return [Sample(found.ids[k], torch.from_numpy(found.points(k).copy())) for k in range(count)]


def noise(length: int, seed: int = 0) -> Sample:
    source = torch.Generator().manual_seed(seed)
    return Sample(f"noise_{seed}", torch.randn(length, 3, generator=source))


def value(measured, name: str) -> float:
    return next(one.interval.value for one in measured.of_set if one.name == name)


def test_natives_are_better_than_noise() -> None:
    good, bad = quick(natives("test", 3)), quick([noise(50, k) for k in range(3)])
    assert good["quality"] > 0.5 > bad["quality"]
    assert good["clash_free"] == 1 and good["bond_fraction"] > 0.99


def test_the_shortest_chains_that_can_be_asked_for_are_measured() -> None:
    shortest = ProteinGenerate.model_json_schema()["properties"]["lengths"]["items"]["minimum"]
    samples = [
        Sample(one.name, one.points[k : k + shortest]) for k, one in enumerate(natives("test", 3))
    ]
    measured = measure(samples, CHEAP, 0, None)
    assert len(measured.samples) == 3 and value(measured, "pairwise_tm") >= 0


def test_quick_survives_what_is_not_finite() -> None:
    broken = Sample("x", torch.full((50, 3), float("nan")))
    assert quick([broken])["quality"] == 0
    mixed = quick([broken, *natives("test", 1)])
    assert 0 < mixed["quality"] < quick(natives("test", 1))["quality"]


def test_training_domains_are_not_novel() -> None:
    measured = measure(natives("train", 2), CHEAP, 0, None)
    assert (measured.samples["novelty_tm"] > 0.999).all()
    assert "shortlist2" in measured.tools["novelty_tm"]


def test_copies_are_not_diverse() -> None:
    one = natives("test", 1)[0]
    same = measure([one, one, one], CHEAP.model_copy(update={"novelty_shortlist": 0}), 0, None)
    assert value(same, "pairwise_tm") == pytest.approx(1, abs=1e-3)
    assert value(same, "cluster_share") == pytest.approx(1 / 3)
    assert "novelty_tm" not in same.metrics


def test_nan_is_in_its_row() -> None:
    broken = Sample("x", torch.full((50, 3), float("nan")))
    measured = measure([broken, *natives("test", 2)], CHEAP, 0, None)
    table = measured.samples
    assert table["finite"].tolist() == [0, 1, 1]
    for name in ("bond_fraction", "clashes", "helix", "nativeness_proxy", "novelty_tm"):
        assert math.isnan(table[name][0]) and np.isfinite(table[name][1:]).all()
    assert next(one.n for one in measured.of_set if one.name == "pairwise_tm") == 2


def test_exploded_chains_are_told_and_not_aligned() -> None:
    """TM-align takes seconds for a pair with such a chain, and its score says nothing."""
    good = natives("test", 2)
    far = Sample("far", 1000 * good[0].points)
    measured = measure([good[0], far, good[1]], CHEAP, 0, None)
    table = measured.samples
    assert table["exploded"].tolist() == [0, 1, 0] and "exploded" in measured.metrics
    for name in ("helix", "nativeness_proxy", "novelty_tm"):
        assert np.isnan(table[name]).tolist() == [False, True, False]
    assert table["bond_fraction"][1] == 0
    assert {one.n for one in measured.of_set if one.name in ("pairwise_tm", "cluster_share")} == {2}


def test_what_costs_much_is_measured_of_a_stated_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "load_proxy", lambda _: untrained_proxy())
    samples = natives("test", 5)
    config = CHEAP.model_copy(update={"proxy": True, "judged": 3, "aligned": 4})
    measured = measure(samples, config, 0, None)
    table, names = measured.samples, [one.name for one in samples]
    for name, most in (("cross_nll", 3), ("designability_proxy", 3), ("novelty_tm", 4)):
        assert (measured.drawn[name] == drawn(names, most, 0)).all()
        assert (np.isfinite(table[name]) == measured.drawn[name]).all()
        assert measured.tools[name].endswith(f", {most} samples drawn at random")
    assert "helix" not in measured.drawn and np.isfinite(table["helix"]).all()
    of_set = {one.name: one for one in measured.of_set}
    assert of_set["pairwise_tm"].n == 4 and "4 samples drawn" in of_set["pairwise_tm"].tool
    assert of_set["relative_cross_nll"].n == 3
    # What is measured of one sample does not depend on the others.
    alone = measure([samples[int(np.flatnonzero(measured.drawn["cross_nll"])[0])]], config, 0, None)
    assert alone.samples["cross_nll"][0] == table["cross_nll"].dropna().iloc[0]


def test_distances_of_many_pairs_are_of_a_stated_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "_MOST", 12)
    cheap = CHEAP.model_copy(update={"novelty_shortlist": 0, "diversity": False})
    of_set = {one.name: one for one in measure(natives("test", 15, 50, 80), cheap, 0, None).of_set}
    assert of_set["sse_energy_distance"].n == 12 and of_set["descriptor_frechet"].n == 15
    assert of_set["sse_energy_distance"].tool.endswith("12 samples drawn at random")


def test_sizes_without_references_are_said() -> None:
    """The packed domains end at 130 residues; longer chains are measured without them."""
    measured = measure([noise(400, 0), noise(400, 1)], CHEAP, 0, None)
    assert measured.samples[["novelty_tm", "nativeness_proxy"]].isna().all(axis=None)
    assert measured.tools["novelty_tm"] == "no training domain has these sizes"
    for name in ("helix_gap", "strand_gap"):
        assert math.isnan(value(measured, name))


def test_gaps_are_small_for_natives() -> None:
    measured = measure(natives("train", 40), ProteinEvaluate(proxy=False, novelty_shortlist=0,
                                                      diversity=False), 0, None)  # fmt: skip
    assert {one.name for one in measured.of_set} == {
        "helix_gap",
        "strand_gap",
        "descriptor_frechet",
        "sse_energy_distance",
        "sse_class_jsd",
    }
    assert value(measured, "helix_gap") < 0.15
    assert all(one.name in METRICS for one in measured.of_set)


def test_distributions_tell_natives_from_globules() -> None:
    """Natives lie near natives, and noise of their size far away."""
    cheap = CHEAP.model_copy(update={"novelty_shortlist": 0, "diversity": False})
    good = measure(natives("test", 30, 50, 80), cheap, 0, None)
    bad = measure([noise(60, k) for k in range(30)], cheap, 0, None)
    for name in ("descriptor_frechet", "sse_energy_distance", "sse_class_jsd"):
        assert value(good, name) < 0.5 * value(bad, name)
        interval = next(one.interval for one in good.of_set if one.name == name)
        assert interval.low <= interval.value <= interval.high


def test_cross_nll_is_also_judged_at_equal_composition(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain of 400 residues has no natives to be compared with."""
    monkeypatch.setattr(proxy, "load_proxy", lambda _: untrained_proxy())
    config = CHEAP.model_copy(update={"proxy": True, "novelty_shortlist": 0, "diversity": False})
    measured = measure([*natives("test", 3), noise(400)], config, 0, None)
    table, (found,) = measured.samples, [m for m in measured.of_set if "relative" in m.name]
    composition = table[["helix", "strand", "length"]].to_numpy(float)
    expected, count = relative_cross_nll(table["cross_nll"].to_numpy(float), composition, 0)
    assert found.name in METRICS and found.interval == expected and found.n == count == 3
    assert found.tool.startswith(measured.tools["cross_nll"])
    assert "nativeness_proxy" in measured.metrics and "nativeness_proxy" in METRICS


def test_the_fold_classifier_is_asked(golden: Path, tmp_path: Path) -> None:
    weights = golden / "gearnet/small_weights.safetensors"
    if not weights.exists():
        pytest.skip(f"no golden values of GearNet in {golden}")
    samples = natives("test", 12, 50, 70)
    known = [sample.points.numpy().astype(float) for sample in natives("train", 30)]
    reference = tmp_path / "reference.safetensors"
    save_reference(FoldStatistics.of(load_gearnet(weights).classify(known)), reference)
    config = ProteinEvaluate(
        proxy=False,
        novelty_shortlist=0,
        diversity=False,
        fold_classifier=str(weights),
        fold_references={"pdb": str(reference)},
    )
    measured = measure(samples, config, 0, None)
    found = {one.name: one for one in measured.of_set}
    assert {"fs_c", "fs_a", "fs_t", "fpsd_pdb", "fjsd_c_pdb", "fjsd_t_pdb"} <= set(found)
    assert found["fpsd_pdb"].interval.low < found["fpsd_pdb"].interval.value
    assert "30 structures of pdb" in found["fpsd_pdb"].tool
    assert all(name in METRICS for name in found)
    # Natives against themselves: no distance at all.
    same = measure(natives("train", 30), config, 0, None)
    assert value(same, "fpsd_pdb") == pytest.approx(0, abs=1e-3 * value(measured, "fpsd_pdb"))


def test_gallery_is_json_in_angstrom() -> None:
    sample = natives("test", 1)[0]
    found = json.loads(json.dumps(gallery([sample]), allow_nan=False))
    points = np.array(found["scenes"][0]["points"])
    assert np.abs(points - 10 * sample.points.numpy()).max() < 0.006
    distances = np.array(found["matrices"][0]["values"])
    assert distances.shape == (len(points), len(points)) and (distances.diagonal() == 0).all()
    assert 3.5 < distances.diagonal(1).mean() < 4.1
