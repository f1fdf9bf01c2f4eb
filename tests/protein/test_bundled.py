"""Contract: the bundled student makes whole backbones at once, in the way that its card says."""

import pytest
import torch

from domains.batch import Request
from domains.config import SampleSet, located
from domains.errors import FewstepError
from domains.protein.field import FIELD
from domains.protein.metrics.geometry import chain as geometry
from domains.protein.metrics.geometry import secondary_structure
from domains.stages.at_hand import trained_sampler
from domains.stages.sampling import Sampling


@pytest.mark.parametrize("calls", [8, 16])
def test_few_calls_make_whole_chains_with_secondary_structure(calls: int) -> None:
    name = f"proteina-small-{calls}"
    network, sampler = FIELD.load(located(name)).eval(), trained_sampler(name)
    card = (located(name) / "README.md").read_text(encoding="utf-8")
    assert all(str(time) in card for time in sampler.times)
    sample_set = SampleSet(model="student", sampler=sampler, refine=True)
    requests = {k: Request(str(k), 60) for k in range(6)}
    made = Sampling(FIELD, network, sample_set, 0).samples(requests)
    chains = []
    for sample in made.values():
        assert not isinstance(sample, FewstepError) and sample.calls == calls
        chains.append(sample.points.double().numpy())
    shapes = [geometry.describe(chain) for chain in chains]
    assert min(shape["bond_fraction"] for shape in shapes) > 0.95
    assert sum(shape["clashes"] for shape in shapes) <= 3
    content = [secondary_structure.describe(chain) for chain in chains]
    ordered = [one["helix"] + one["strand"] for one in content]
    assert sum(ordered) / len(ordered) > 0.5
    assert max(one["strand"] for one in content) > 0.1


@pytest.mark.parametrize("end", ["-8", "-16"])
def test_students_are_their_teacher_but_for_a_few_percent(end: str) -> None:
    teacher, student = (FIELD.load(located(f"proteina-small{one}")) for one in ("", end))
    student.requires_grad_(False), teacher.requires_grad_(False)
    gaps = [
        (ours - theirs).square().sum()
        for ours, theirs in zip(student.parameters(), teacher.parameters(), strict=True)
    ]
    norm = torch.stack([one.square().sum() for one in teacher.parameters()]).sum()
    assert 0.01 < float((torch.stack(gaps).sum() / norm).sqrt()) < 0.1
