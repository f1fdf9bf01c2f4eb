"""Contract: a set's sampler is played as its settings say."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import content, save_teacher

from domains.batch import Request, Sample
from domains.config import SampleSet, parse_config
from domains.distillation.sampling import sampler
from domains.errors import FewstepError
from domains.field import load_field
from domains.stages.sampling import Sampling


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("teacher"))


def played(place: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[list, ...]:
    """Times, noise scales and shares of fresh noise of a re-noised sample."""
    seen: dict[str, list] = {}
    plain = sampler.renoise

    def spy(denoiser, process, batch, times, noise, scales, **how):
        seen["times"], seen["scales"], seen["eta"] = times.tolist(), list(scales), how["eta"]
        assert how["self_conditioning"] is settings.get("self_conditioning", False)
        return plain(denoiser, process, batch, times, noise, scales, **how)

    monkeypatch.setattr("domains.stages.sampling.renoise", spy)
    domain = load_field("protein")
    renoised: Any = {"kind": "renoise", **settings}
    sample_set = SampleSet(model="teacher", sampler=renoised)
    network = domain.load(place).eval()
    made = Sampling(domain, network, sample_set, 0).samples({0: Request("a", 12)})
    assert not isinstance(made[0], FewstepError) and torch.isfinite(made[0].points).all()
    return seen["times"], seen["scales"], seen["eta"]


def test_noise_scale_is_constant_unless_an_end_is_given(place, monkeypatch) -> None:
    assert played(place, monkeypatch, steps=3, noise_scale=0.5)[1] == [0.5] * 3
    fixed = played(place, monkeypatch, steps=3, noise_scale=0.5, deterministic=True)
    assert fixed[1] == [0.5] * 3
    scales = played(place, monkeypatch, steps=3, noise_scale=1.0, noise_scale_end=0.0)[1]
    assert scales == [1.0, 0.5, 0.0]
    assert played(place, monkeypatch, steps=1, noise_scale=1.0, noise_scale_end=0.0)[1] == [1.0]


def test_noise_is_fresh_kept_or_a_mixture(place, monkeypatch) -> None:
    shares = {"eta": [1.0, 0.0, 0.5]}
    assert played(place, monkeypatch, steps=3, **shares)[2] == [1.0, 0.0, 0.5]
    assert played(place, monkeypatch, steps=2, eta=0.3)[2] == [0.3, 0.3]
    assert played(place, monkeypatch, steps=2)[2] == [1.0, 1.0]
    assert played(place, monkeypatch, steps=2, deterministic=True)[2] == [0.0, 0.0]
    assert played(place, monkeypatch, steps=2, self_conditioning=True)[2] == [1.0, 1.0]


@pytest.mark.parametrize(
    "settings",
    [{"eta": [1.0]}, {"eta": 1.1}, {"eta": [0.5, -0.1]}, {"eta": 0.5, "deterministic": True}],
    ids=str,
)
def test_other_shares_of_fresh_noise_are_refused(settings: dict) -> None:
    with pytest.raises(FewstepError, match=r"sets\.naive"):
        parse_config(content(sets={"naive": {"sampler": {"steps": 2, **settings}}}))


@pytest.mark.parametrize(
    ("settings", "until"),
    [({}, 0.99), ({"grid": "edm"}, 0.985), ({"grid": "edm", "ode_from": 0.5}, 0.5)],
    ids=str,
)
def test_the_sde_ends_as_the_ode(place, monkeypatch, settings: dict, until: float) -> None:
    seen, plain = [], sampler.integrate

    def spy(denoiser, process, batch, times, noise, sde, again, rescale):
        seen.append(sde and sde.until)
        return plain(denoiser, process, batch, times, noise, sde, again, rescale)

    monkeypatch.setattr("domains.stages.sampling.integrate", spy)
    domain = load_field("protein")
    network = domain.load(place).eval()
    for kind in ("sde", "ode"):
        how: Any = {"kind": kind, "steps": 2, **settings}
        sample_set = SampleSet(model="teacher", sampler=how)
        Sampling(domain, network, sample_set, 0).samples({0: Request("a", 12)})
    assert seen == [until, None]


def test_long_chains_are_sampled_and_written(place, tmp_path) -> None:
    """800 residues, as Proteina's model of long chains has been trained for."""
    domain = load_field("protein")
    sample_set = SampleSet.model_validate(
        {"model": "teacher", "sampler": {"kind": "renoise", "steps": 1}}
    )
    made = Sampling(domain, domain.load(place).eval(), sample_set, 0).samples(
        {0: Request("a", 800)}
    )
    assert not isinstance(made[0], FewstepError) and torch.isfinite(made[0].points).all()
    domain.write(Sample("long", made[0].points), tmp_path, {"formats": ("cif",)})
    for file in ("long.pdb", "long.cif"):
        read = domain.read(tmp_path / file).points
        torch.testing.assert_close(read, made[0].points, atol=1e-4, rtol=0)


def test_times_are_the_processs_unless_they_are_given(place, monkeypatch) -> None:
    own = played(place, monkeypatch, steps=2)[0]
    domain = load_field("protein")
    assert own == domain.process(domain.load(place)).times(2).tolist()
    given = played(place, monkeypatch, steps=2, times=[0.25, 0.75])[0]
    assert given == [0.25, 0.75]


@pytest.mark.parametrize("times", [[0.5], [0.5, 0.5], [0.7, 0.3], [0.5, 1.0], [-0.1, 0.5]], ids=str)
def test_other_times_are_refused(times: list) -> None:
    sets = {"naive": {"sampler": {"steps": 2, "times": times}}}
    with pytest.raises(FewstepError, match=r"sets\.naive"):
        parse_config(content(sets=sets))


def test_half_precision_is_near_and_tf32_is_left_behind(place) -> None:
    domain = load_field("protein")
    network = domain.load(place).eval()
    sample_set = SampleSet.model_validate(
        {"model": "teacher", "sampler": {"kind": "renoise", "steps": 2, "noise_scale": 1}}
    )

    def points(precision: str) -> torch.Tensor:
        sampling = Sampling(domain, network, sample_set, 0, precision=precision)
        made = sampling.samples({0: Request("a", 30)})[0]
        assert not isinstance(made, FewstepError) and made.points.dtype == torch.float32
        return made.points

    exact = points("32-true")
    assert torch.equal(points("tf32"), exact)  # a CPU has none
    assert torch.get_float32_matmul_precision() == "highest"
    half = points("bf16-mixed")
    assert 0 < float((half - exact).norm() / exact.norm()) < 0.05
    assert torch.equal(points("32-true"), exact)
