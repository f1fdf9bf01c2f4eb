"""Contract: every domain is a ``Field``; a new one is tested here unasked."""

import copy
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from domain_cases import PLANS, TEACHERS, domain, made, pretrain, section, teacher
from torch import nn

from domains.batch import Batch, Request, Sample
from domains.config import Evaluate, field_names, field_settings
from domains.distillation.denoiser import Denoiser
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.evaluation.statistics.measured import Measured
from domains.evaluation.statistics.sets import Metric
from domains.field import Field, load_field
from domains.lidar.settings import LidarEvaluate
from domains.protein.settings import ProteinEvaluate

# Coordinates that survive a file: PDB has three decimals, in Å.
CHEAP: dict[str, Evaluate] = {
    "protein": ProteinEvaluate(proxy=False, novelty_shortlist=1),
    "lidar": LidarEvaluate(),
}
CLOSE = {"protein": 1e-4, "lidar": 0.0}
METHODS = [name for name, value in vars(Field).items() if inspect.isfunction(value)
           and not name.startswith("_")]  # fmt: skip


def samples(domain: Field) -> list[Sample]:
    return list(domain.held_out(PLANS[domain.name], [0, 1], 0).values())


def requests(domain: Field, denoiser: nn.Module) -> list[Request]:
    found = domain.requests(PLANS[domain.name], [0, 1], denoiser, 0)
    assert all(isinstance(one, Request) for one in found)
    return found  # type: ignore[return-value]


def test_every_domain_has_a_tiny_teacher() -> None:
    assert set(TEACHERS) == set(PLANS) == set(CLOSE) == set(field_names())


def test_domain_is_a_domain(domain: Field) -> None:
    assert isinstance(domain, Field)
    settings = field_settings(domain.name)
    assert settings.implementation.startswith(f"domains.{domain.name}.")
    assert all(isinstance(metric, Metric) for metric in settings.load_metrics().values())


@pytest.mark.parametrize("method", METHODS)
def test_methods_take_what_stages_give(domain: Field, method: str) -> None:
    def named(owner: Any) -> list[tuple[str, Any, Any]]:
        parameters = inspect.signature(getattr(owner, method)).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters if p.name != "self"]

    assert named(domain) == named(Field)


def test_unknown_domain_is_one_line() -> None:
    with pytest.raises(FewstepError, match="unknown field"):
        load_field("weather")


def test_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = replace(field_settings("lidar"), implementation="weather.field:FIELD")
    monkeypatch.setattr("domains.field.field_settings", lambda name: gone)
    with pytest.raises(FewstepError, match=r"pip install 'fewstep\[weather\]'"):
        load_field("weather")


def test_real_data_are_judged_with_the_estimate(domain: Field, teacher: nn.Module) -> None:
    draw = domain.examples(section(domain.name, "vsd"), teacher)
    batch, other = (domain.encode(teacher, draw(Draws((k,)))) for k in (0, 1))
    assert batch.points is not None and len(batch.points) == 2
    assert not torch.equal(batch.points[:, :40], other.points[:, :40])  # type: ignore[index]
    assert torch.equal(batch.points, draw(Draws((0,))).points)  # type: ignore[arg-type]
    noisy, time = torch.randn(batch.shape), torch.tensor([0.3, 0.6])
    clean, logits = domain.judge(teacher, noisy, time, batch)  # type: ignore[arg-type]
    torch.testing.assert_close(clean, teacher(noisy, time, batch), rtol=0, atol=1e-6)
    assert logits.shape == batch.mask.shape and logits[batch.mask].std() > 0


def test_teacher_is_a_denoiser_of_its_process(domain: Field, teacher: nn.Module) -> None:
    assert isinstance(teacher, Denoiser)
    assert isinstance(domain.process(teacher), NoiseProcess)
    asked = requests(domain, teacher)
    batch = domain.blank(asked)
    assert isinstance(batch, Batch)
    assert batch.mask.sum(-1).tolist() == [request.size for request in asked]
    encoded = domain.encode(teacher, batch)
    noisy, time = torch.randn(batch.shape), torch.tensor([0.3, 0.6])
    clean = teacher(noisy, time, encoded, None)
    assert clean.shape == batch.shape and torch.isfinite(clean).all()
    assert (clean[~batch.mask] == 0).all()
    assert torch.equal(clean, teacher(noisy, time, batch, None))
    alone = domain.unconditional(teacher)  # type: ignore[arg-type]
    assert torch.isfinite(alone(noisy, time, encoded, None)).all()


def test_finished_samples_can_be_written(domain: Field, teacher: nn.Module, tmp_path: Path) -> None:
    request = requests(domain, teacher)[0]
    start = domain.held_out(PLANS[domain.name], [0], 0)[0].points[: request.size]
    finished = domain.finish(teacher, start, request, False)
    assert len(finished)
    assert domain.write(Sample(request.name, finished), tmp_path, {})
    assert domain.name == "lidar" or torch.equal(finished, start)


def test_preference_and_structure_rank_truth_above_noise(domain: Field, teacher: nn.Module) -> None:
    batch = domain.blank(
        domain.training_requests(section(domain.name, "sid"), teacher, Draws((0,)))
    )
    truth = batch.points
    if truth is None:
        truth = torch.stack([s.points[:40] for s in samples(domain)])
        batch = Batch(mask=torch.ones(2, 40, dtype=torch.bool))
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    noisy = (truth + 0.3 * noise).requires_grad_()
    preferred = domain.preference("quick", None)
    assert (preferred(truth, batch) > preferred(noisy, batch)).all()
    clean, worse = domain.structure(truth, batch), domain.structure(noisy, batch)
    assert clean["scene"] < worse["scene"]
    sum(worse.values()).backward()  # type: ignore[union-attr]
    assert noisy.grad is not None and torch.isfinite(noisy.grad).all()


def test_teacher_loss_has_gradients(domain: Field, teacher: nn.Module) -> None:
    network = copy.deepcopy(teacher)
    batch = domain.training_batches(pretrain(domain.name), 0)(0, Draws((0,)))
    assert batch.points is not None and torch.isfinite(batch.points).all()
    loss, _ = domain.teacher_loss(network, domain.process(network), batch, Draws((0,)))
    loss.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert len(gradients) > 10 and all(torch.isfinite(gradient).all() for gradient in gradients)


def test_model_survives_writing(domain: Field, teacher: nn.Module, tmp_path: Path) -> None:
    domain.save(teacher, tmp_path / "a", note="x")
    domain.prepare(tmp_path / "a", tmp_path / "b", {})
    loaded = domain.load(tmp_path / "b").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in teacher.state_dict().items())


def test_new_networks_follow_their_seed(domain: Field, teacher: nn.Module) -> None:
    again, other = (domain.new(pretrain(domain.name), seed) for seed in (0, 1))
    pairs = list(zip(teacher.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


def test_sample_survives_writing(domain: Field, tmp_path: Path) -> None:
    for sample in samples(domain):
        files = domain.write(sample, tmp_path, {})
        assert all((tmp_path / name).is_file() for name in files)
        read = domain.read(tmp_path / files[0])
        assert read.name == sample.name
        torch.testing.assert_close(read.points, sample.points, atol=CLOSE[domain.name], rtol=0)


def test_held_out_data_and_decoys_are_the_same_again(domain: Field) -> None:
    plan = PLANS[domain.name]
    for source in (domain.held_out, domain.decoys):
        first, again = source(plan, [0, 1], 0), source(plan, [1], 0)
        assert first[1].name == again[1].name != first[0].name
        assert torch.equal(first[1].points, again[1].points)


def test_measures_are_named_and_explained(domain: Field) -> None:
    config = CHEAP[domain.name]
    chosen = samples(domain)
    measured = domain.evaluate(chosen, config, 0, None)
    assert isinstance(measured, Measured) and len(measured.samples) == len(chosen)
    assert set(measured.metrics) <= set(measured.samples.columns)
    explained = {*measured.metrics, *(one.name for one in measured.of_set)} - {"finite"}
    assert explained <= set(field_settings(domain.name).load_metrics())


def test_validation_gives_quality(domain: Field) -> None:
    teacher = domain.new(pretrain(domain.name), 0)
    asked = domain.validation_requests(section(domain.name, "sid"), teacher)
    good = [Sample(r.name, r.truth if r.truth is not None else s.points)
            for r, s in zip(asked, samples(domain), strict=True)]  # fmt: skip
    quality = domain.validate(good, asked)["quality"]
    assert 0 < quality < float("inf")


def test_gallery_is_scenes_and_matrices(domain: Field) -> None:
    found = domain.gallery(samples(domain))
    assert set(found) == {"scenes", "matrices"}
    assert len(found["scenes"]) == 2
    assert domain.gallery([]) == {"scenes": [], "matrices": []}


def test_recomputed_activations_give_the_same_gradients(domain: Field, teacher: nn.Module) -> None:
    """Bit for bit, in the mode of distillation and in that of a teacher's training."""
    found = []
    for recompute in (False, True):
        network = copy.deepcopy(teacher).train()
        if recompute:
            domain.recompute(network)
        process, draws = domain.process(network), Draws((0,))
        batch = domain.training_batches(pretrain(domain.name), 0)(0, draws)
        loss = domain.teacher_loss(network, process, batch, draws).value
        loss.backward()
        found.append({n: p.grad for n, p in network.named_parameters() if p.grad is not None})
    plain, again = found
    assert plain.keys() == again.keys() and plain
    assert all(torch.equal(plain[name], again[name]) for name in plain)
