"""Stage: search the times and the noise of few network calls, or learn them, for a model as it is.

What a student shows must be more than a better schedule would. Schedules are drawn at random and
judged by the quality that chooses students' checkpoints, or by their distance from natives; the
best few, and the usual ones, once more on other samples, so that luck does not choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domains.config import RunConfig, SampleSet, load_config
from domains.distillation.sampling.settings import Renoise
from domains.distillation.sampling.tuned import Tuned
from domains.errors import FewstepError
from domains.files.regular import read_json_object

if TYPE_CHECKING:
    from torch import nn

    from domains.batch import Batch, Request, Sample
    from domains.distillation.learn import Learned
    from domains.field import Field

__all__ = ["read_sampler", "tune"]

# Drawn schedules that are judged twice.
_FINALISTS = 5
# Between the run's seed and those of the two rounds: no sample of the run takes part in them.
_SHIFT = 1_000_003


def tune(config: Path, set_name: str, model: Path, output: Path, tools: Path | None = None) -> None:
    """Search the times and noise of a set's few-step sampler; the model is not trained.

    Args:
        config: Run configuration (YAML).
        set_name: Which of its sets; its sampler is of the kind tuned.
        model: Directory of the model.
        output: JSON file: the sampler that was found, and all that were tried.
        tools: Directory of fetched tools (ProteinMPNN weights), for a judge that asks them.
    """
    settings = load_config(config)
    sample_set = settings.sample_set(set_name)

    import torch

    from domains.distillation.sampling.candidates import drawn, usual
    from domains.field import load_field
    from domains.files.provenance import write_json

    if not isinstance(sample_set.sampler, Tuned):
        raise FewstepError(f"the sampler of {set_name} is not tuned", got=sample_set.sampler.kind)
    field = load_field(settings.domain).with_data(settings.located_data)
    network = field.load(model).eval().to("cuda" if torch.cuda.is_available() else "cpu")
    wanted = sample_set.sampler
    judge = _Judge(field, network, settings, sample_set, wanted, tools)
    times = field.process(network).times(wanted.steps).tolist()
    known, learned = usual(wanted, times), {}
    if wanted.learn is None:
        first = judge.round(1, [*known, *drawn(wanted, times, settings.seed)])
    else:
        solver = _learned(field, network, settings, wanted)
        first = judge.round(1, [*known, solver.sampler])
        learned = {"learned": {"distance_before": solver.before, "distance_after": solver.after}}
    best = sorted(first[len(known) :], key=lambda row: -row["quality"])[:_FINALISTS]
    second = judge.round(2, [*known, *(row["sampler"] for row in best)])
    winner = max(second, key=lambda row: row["quality"])
    if not math.isfinite(winner["quality"]):
        raise FewstepError("no schedule makes samples", got=winner["reason"], do="Add steps")
    rounds = {"finalists": [_plain(row) for row in second], "tried": [_plain(row) for row in first]}
    write_json(output, {**_plain(winner), **learned, **rounds})


def _learned(field: Field, network: nn.Module, settings: RunConfig, wanted: Tuned) -> Learned:
    """Learn a solver from other noise than it is judged with (of LiDAR, on the same scans)."""
    import torch

    from domains.distillation.denoiser import Guided
    from domains.distillation.learn import learn_solver
    from domains.distillation.noise import SampleNoise, generator

    assert wanted.learn is not None
    network.requires_grad_(False)
    process, device = field.process(network), next(network.parameters()).device
    requests = field.tuning_requests(settings.generate, wanted.samples, network, settings.seed)

    def drawn(update: int) -> tuple[Batch, torch.Tensor]:
        count = min(wanted.learn.batch_size, len(requests)) if wanted.learn else 0
        numbers = [(update * count + k) % len(requests) for k in range(count)]
        part = [requests[number] for number in numbers]
        with torch.no_grad():
            batch = field.encode(network, field.blank(part).to(device))
        sources = [generator(settings.seed, "learned", update, number) for number in numbers]
        noise = SampleNoise(sources, [one.size for one in part], device)
        return batch, noise(batch.shape)

    denoiser = Guided(network, wanted.guidance, field.unconditional(network))
    return learn_solver(denoiser, process, wanted.steps, wanted.learn, drawn, wanted.guidance)


def read_sampler(path: Path) -> Renoise:
    """Return the sampler that was found.

    Raises:
        FewstepError: The file is missing, or not what ``tune`` writes.
    """
    try:
        return Renoise.model_validate(read_json_object(path)["sampler"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise FewstepError(
            f"{path} holds no sampler", got=reason, do="Delete it, and tune again"
        ) from error


@dataclass(frozen=True)
class _Judge:
    """Says how good samplers are, each by samples of the same noise.

    Attributes:
        field: The field.
        network: The model, on the device that it runs on.
        settings: Of the run.
        sample_set: Whose sampler is searched.
        wanted: The sampler's settings, with the ranges to search.
        tools: Where fetched weights of the judge are.
    """

    field: Field
    network: nn.Module
    settings: RunConfig
    sample_set: SampleSet
    wanted: Tuned

    tools: Path | None

    @cached_property
    def nearness(self) -> Callable[[Sequence[Sample]], dict[str, float]]:
        """What compares samples with natives of their lengths."""
        from domains.capabilities import Comparing, capability

        comparing = capability(self.field, Comparing, "has no natives to compare samples with")
        seed = self.settings.seed
        return comparing.nearness(self._requests(seed), seed, self.tools)

    def round(self, number: int, samplers: list[Renoise]) -> list[dict[str, Any]]:
        """Return each sampler with its quick measures; a quality of -inf has a reason instead."""
        from tqdm import tqdm

        rows, seed = [], self.settings.seed + number * _SHIFT
        for sampler in tqdm(samplers, desc=f"schedules, round {number}", mininterval=5.0):
            try:
                found = self._measures(sampler, seed)
            except FewstepError as error:
                found = {"quality": -math.inf, "reason": str(error)}
            rows.append({"sampler": sampler, **found})
        return rows

    def _requests(self, seed: int) -> list[Request]:
        plan, count = self.settings.generate, self.wanted.samples
        return self.field.tuning_requests(plan, count, self.network, seed)

    def _measures(self, sampler: Renoise, seed: int) -> dict[str, Any]:
        from domains.batch import Sample
        from domains.stages.sampling import Sampling, batches

        plan, requests = self.settings.generate, self._requests(seed)
        sampled = self.sample_set.model_copy(update={"sampler": sampler, "refine": False})
        sampling = Sampling(self.field, self.network, sampled, seed, precision=plan.precision)
        made: dict[int, Sample] = {}
        for batch in batches(plan, {k: one.size for k, one in enumerate(requests)}):
            for k, one in sampling.samples({k: requests[k] for k in batch}).items():
                if isinstance(one, FewstepError):
                    raise one
                made[k] = Sample(requests[k].name, one.points, requests[k].condition)
        samples = [made[k] for k in sorted(made)]
        quick = self.field.validate(samples, requests)
        return quick if self.wanted.judge == "quick" else {**quick, **self.nearness(samples)}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as JSON has it: what is not finite is null."""
    measures = {k: v for k, v in row.items() if k != "sampler"}
    finite = {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in measures.items()
    }
    return {"sampler": row["sampler"].model_dump(mode="json"), **finite}
