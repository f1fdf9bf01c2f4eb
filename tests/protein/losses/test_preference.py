"""Contract: pairs are ranked by structure alone, by a measure that checkpoints aren't chosen by.

Missing weights are one line before training; scores depend neither on padding nor on the batch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from protein.chains import helix, native
from protein.designers import untrained_proxy, weights_or_skip
from tiny_run import write_config

from domains.batch import Batch, Sample
from domains.config import parse_config
from domains.distillation.objectives.registry import build_objective
from domains.errors import FewstepError
from domains.field import load_field
from domains.protein.evaluation import quick
from domains.protein.losses.preference import ByCrossNLL
from domains.protein.metrics.designability.proxy import Proxy, load_proxy
from domains.protein.settings import ProteinDistil
from domains.stages.distill import distill
from domains.stages.resources import FieldResources

FIELD = load_field("protein")
BY_CROSS_NLL = {"objective": {"kind": "distillation_dpo", "preference": "cross_nll"}}
every_kind = pytest.mark.parametrize("kind", ["quick", "cross_nll"])


@pytest.fixture(scope="module")
def untrained() -> Proxy:
    return untrained_proxy()


@pytest.fixture
def preference(kind: str, untrained: Proxy) -> Callable:
    return FIELD.preference() if kind == "quick" else ByCrossNLL(untrained)


def natives(count: int) -> list[np.ndarray]:
    return [native(k, 40, 60).astype(np.float32) for k in range(count)]


def batch_of(chains: list[np.ndarray], length: int, fill: float) -> tuple[torch.Tensor, Batch]:
    points = torch.full((len(chains), length, 3), fill)
    for row, chain in enumerate(chains):
        points[row, : len(chain)] = torch.from_numpy(chain)
    return points, Batch(torch.arange(length) < torch.tensor([[len(c)] for c in chains]))


@every_kind
def test_scores_are_of_each_chain_alone(preference: Callable) -> None:
    chains = natives(2)
    length = max(map(len, chains))
    together = preference(*batch_of(chains, length, 0.0))
    padded = preference(*batch_of(chains, length + 9, 7.0))
    alone = [preference(*batch_of([chain], len(chain), 0.0)) for chain in chains]
    assert torch.equal(together, padded) and torch.equal(together, torch.cat(alone))
    assert not together.requires_grad and together.shape == (2,)


def test_it_is_minus_the_measure_that_is_evaluated(untrained: Proxy) -> None:
    chain = natives(1)[0]
    found = ByCrossNLL(untrained)(*batch_of([chain], len(chain), 0.0))
    assert found.item() == pytest.approx(-float(untrained.describe(chain)["cross_nll"]), rel=1e-4)


def test_a_chain_that_is_not_finite_has_no_score(untrained: Proxy) -> None:
    chain = natives(1)[0]
    broken = np.full_like(chain, np.nan)
    found = ByCrossNLL(untrained)(*batch_of([broken, chain], len(chain), 0.0))
    assert found[0].isnan() and found[1].isfinite()


def test_designable_chains_are_preferred_to_their_mirror_images() -> None:
    chains = natives(3)
    preference = ByCrossNLL(load_proxy(weights_or_skip()))
    length = max(map(len, chains))
    right = preference(*batch_of(chains, length, 0.0))
    left = preference(*batch_of([chain * [1, 1, -1] for chain in chains], length, 0.0))
    assert (right > left).all()


def test_what_is_reported_beside_quality_gives_its_cheats_away() -> None:
    """One long helix is as good as any protein by quality, and no protein's size."""
    native, rod = natives(1)[0], helix(60)
    own, cheat, mirrored, straight = (
        quick([Sample("", torch.from_numpy(np.asarray(chain, dtype=np.float32)))])
        for chain in (native, rod, rod * [1, 1, -1], np.cumsum(np.full((40, 3), 0.22), 0))
    )
    assert cheat["quality"] >= own["quality"]
    assert cheat["rg_ratio"] > 1.5 > own["rg_ratio"]
    assert own["right_handed"] == cheat["right_handed"] == 1 and mirrored["right_handed"] == 0
    assert "right_handed" not in straight


def section(kind: str, **objective: Any) -> ProteinDistil:
    return ProteinDistil.model_validate(
        {"objective": {"kind": kind, **objective}, "fit": {"steps": 1}}
    )


@pytest.mark.parametrize("kind", ["distillation_dpo", "diffusion_dpo"])
def test_settings_choose_what_ranks(
    kind: str, untrained: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "domains.protein.field.load_proxy", lambda tools: asked.append(tools) or untrained
    )
    plain, told = section(kind), section(kind, preference="cross_nll")
    asks = [one.objective.needs_tools for one in (told, plain, section("sid"))]
    assert asks == [True, False, False]

    def build(student: ProteinDistil) -> Any:
        resources = FieldResources(FIELD, student, torch.nn.Identity(), Path("tools"))
        return build_objective(student.objective, resources)

    assert not isinstance(build(plain).preference, ByCrossNLL)
    assert not asked
    built = build(told)
    assert built.preference == ByCrossNLL(untrained)
    assert asked == [Path("tools")]


def test_missing_weights_are_one_line_before_training(tmp_path: Path, teacher: Path) -> None:
    config = write_config(tmp_path / "run.yaml", students={"student": BY_CROSS_NLL})
    places = [tmp_path / name for name in ("state", "output", "nowhere")]
    with pytest.raises(FewstepError, match="ProteinMPNN weights not found") as error:
        distill(config, "student", teacher, places[0], places[1], tools=places[2])
    assert "\n" not in str(error.value)
    assert not any(place.exists() for place in places)


def test_scenes_are_not_ranked_by_it() -> None:
    with pytest.raises(FewstepError, match="Chamfer"):
        load_field("lidar").preference("cross_nll")
    content = {
        "name": "x",
        "domain": "lidar",
        "teacher": "t",
        "data": {"path": "x"},
        "students": {"student": {**BY_CROSS_NLL, "fit": {"steps": 1}}},
        "generate": {"scenes": 1},
        "sets": {},
    }
    with pytest.raises(FewstepError, match="cross_nll is of proteins"):
        parse_config(content)
