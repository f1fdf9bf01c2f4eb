"""Contract: a set's sampler is played as its settings say."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import content, save_teacher

from domains.config import SampleSet, parse_config
from domains.distillation import sampler
from domains.domain import Request, load_domain
from domains.errors import FewstepError
from domains.stages.sampling import Sampling


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("teacher"))


def played(place: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[list, list]:
    """Times and noise scales of a re-noised sample."""
    seen: dict[str, list] = {}
    plain = sampler.renoise

    def spy(denoiser, process, batch, times, noise, scales, *, deterministic):
        seen["times"], seen["scales"] = times.tolist(), list(scales)
        assert deterministic is settings.get("deterministic", False)
        return plain(denoiser, process, batch, times, noise, scales, deterministic=deterministic)

    monkeypatch.setattr("domains.stages.sampling.renoise", spy)
    domain = load_domain("protein")
    renoised: Any = {"kind": "renoise", **settings}
    sample_set = SampleSet(model="teacher", sampler=renoised)
    network = domain.load(place).eval()
    made = Sampling(domain, network, sample_set, 0).samples({0: Request("a", 12)})
    assert not isinstance(made[0], FewstepError) and torch.isfinite(made[0].points).all()
    return seen["times"], seen["scales"]


def test_noise_scale_is_constant_unless_an_end_is_given(place, monkeypatch) -> None:
    assert played(place, monkeypatch, steps=3, noise_scale=0.5)[1] == [0.5] * 3
    fixed = played(place, monkeypatch, steps=3, noise_scale=0.5, deterministic=True)
    assert fixed[1] == [0.5] * 3
    scales = played(place, monkeypatch, steps=3, noise_scale=1.0, noise_scale_end=0.0)[1]
    assert scales == [1.0, 0.5, 0.0]
    assert played(place, monkeypatch, steps=1, noise_scale=1.0, noise_scale_end=0.0)[1] == [1.0]


def test_times_are_the_processs_unless_they_are_given(place, monkeypatch) -> None:
    own = played(place, monkeypatch, steps=2)[0]
    domain = load_domain("protein")
    assert own == domain.process(domain.load(place)).times(2).tolist()
    given = played(place, monkeypatch, steps=2, times=[0.25, 0.75])[0]
    assert given == [0.25, 0.75]


@pytest.mark.parametrize("times", [[0.5], [0.5, 0.5], [0.7, 0.3], [0.5, 1.0], [-0.1, 0.5]], ids=str)
def test_other_times_are_refused(times: list) -> None:
    sets = {"naive": {"sampler": {"steps": 2, "times": times}}}
    with pytest.raises(FewstepError, match=r"sets\.naive"):
        parse_config(content(sets=sets))
