"""Contract: with the user's packed domains, everything that is compared is compared with them.

Two packed sets, of mainly α and of mainly β domains: the same samples get different answers, and
the right ones.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from protein.packed_sets import pack_class

from domains.batch import Sample
from domains.errors import FewstepError
from domains.evaluation.statistics.measured import Measured
from domains.protein.conditions.scaffold import check_motifs
from domains.protein.data.dataset import CathDomains
from domains.protein.field import FIELD, ProteinField
from domains.protein.settings import ProteinData, ProteinEvaluate, ProteinGenerate, Scaffold

PLAN = ProteinGenerate(lengths=(55, 65), per_length=4)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[CathDomains, ProteinField]]:
    """Return domains and field of each set, by class."""
    found = {}
    for name in "12":
        path = tmp_path_factory.mktemp("packed") / f"class_{name}.npz"
        domains = pack_class(path, name)
        found[name] = domains, FIELD.with_data(ProteinData(path=str(path)))
    return found


def test_held_out_natives_and_decoys_are_of_the_users_test_split(packed) -> None:
    for domains, field in packed.values():
        test = set(domains.subset("test").ids)
        natives = field.held_out(PLAN, range(PLAN.count), 0)
        decoys = field.decoys(PLAN, range(PLAN.count), 0)
        assert len(natives) == PLAN.count and {one.name for one in natives.values()} <= test
        assert {one.name.partition("_")[2] for one in decoys.values()} <= test


def training_domains(domains: CathDomains) -> list[Sample]:
    """Return some of a set as samples that were asked for the first class."""
    known, asked = domains.subset("train"), {"cath_code": ["1.x.x.x"]}
    points = [torch.from_numpy(known.points(k).copy()) for k in range(12)]
    return [Sample(name, one, asked) for name, one in zip(known.ids, points, strict=False)]


@pytest.fixture(scope="module")
def measured(packed) -> dict[str, Measured]:
    """Measure domains of the first set, asked for their class, beside each of the two."""
    samples = training_domains(packed["1"][0])
    config = ProteinEvaluate(proxy=False, novelty_shortlist=3, diversity=False)
    return {name: field.evaluate(samples, config, 0, None) for name, (_, field) in packed.items()}


def test_novelty_and_asked_folds_are_of_the_users_training_domains(packed, measured) -> None:
    ours, other = measured["1"].samples, measured["2"].samples
    assert (ours["novelty_tm"] > 0.999).all() and (other["novelty_tm"] < 0.9).all()
    assert (ours["asked_fold"] == 1).all() and (other["asked_fold"] == 0).all()
    # Only one class is known in each set; of the other's, nothing can be said.
    assert (ours["asked_class"] == 1).all() and np.isnan(other["asked_class"]).all()
    for name, (domains, _) in packed.items():
        count = int((domains.split == 0).sum())
        assert measured[name].tools["asked_class"].endswith(f"{count} training domains")


@pytest.mark.parametrize(
    "name", ["helix_gap", "strand_gap", "descriptor_frechet", "sse_energy_distance"]
)
def test_gaps_and_distances_are_to_the_users_training_domains(measured, name: str) -> None:
    ours, other = (
        next(one.interval.value for one in found.of_set if one.name == name)
        for found in measured.values()
    )
    assert ours < 0.3 * other


def test_motifs_are_of_the_users_domains(packed) -> None:
    domains, field = packed["1"]
    scaffold = Scaffold(structure=f"cath:{domains.ids[0]}", contig="10-40/A1-9/10-40")
    source = check_motifs(True, scaffold, field.data.path)
    assert source is not None
    expected = domains.points(0)[:9].astype(float)
    assert np.allclose(source.place(50, "0").points, expected - expected.mean(0))
    for data in (packed["2"][1].data.path, None):
        with pytest.raises(FewstepError, match="no packed domain"):
            check_motifs(True, scaffold, data)


def test_domains_without_a_test_split_are_one_line(tmp_path: Path) -> None:
    pack_class(tmp_path / "train.npz", "1", splits=("train",))
    field = FIELD.with_data(ProteinData(path=str(tmp_path / "train.npz")))
    with pytest.raises(FewstepError, match="no split test"):
        field.held_out(PLAN, range(2), 0)


def test_domains_of_unknown_class_are_no_class(packed, tmp_path: Path) -> None:
    """Contents are compared all the same."""
    path = tmp_path / "unknown.npz"
    pack_class(path, "1", code="x.x.x.x")
    field = FIELD.with_data(ProteinData(path=str(path)))
    samples = training_domains(packed["1"][0])
    config = ProteinEvaluate(proxy=False, novelty_shortlist=0, diversity=False)
    found = {
        one.name: one.interval.value for one in field.evaluate(samples, config, 0, None).of_set
    }
    assert "sse_class_jsd" not in found and np.isfinite(found["sse_energy_distance"])


def test_no_code_reads_the_bundled_domains_unasked() -> None:
    """Which domains are meant is always said: the default is for people."""
    root = Path(__file__).parents[2] / "domains"
    bare = [str(p) for p in root.rglob("*.py") if "load_domains()" in p.read_text(encoding="utf-8")]
    assert not bare
