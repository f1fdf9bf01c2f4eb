"""Command: sample protein backbones with a finished student, no settings needed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from domains.errors import FewstepError

if TYPE_CHECKING:
    from domains.config import RunConfig

__all__ = ["sample"]

_log = logging.getLogger(__name__)
# Residues that are computed together: what a laptop's memory holds.
_TOGETHER = 2048


def sample(
    output: Path = Path("backbones"),
    length: int = 100,
    number: int = 10,
    model: str = "proteina-small-8",
    seed: int = 0,
    precision: str = "32-true",
) -> None:
    """Sample protein backbones: PDB files of Cα atoms, and a picture of all.

    Args:
        output: Directory of the PDB files.
        length: Residues of a chain.
        number: Chains.
        model: A student, by its directory or bundled name.
        seed: Decides the noise; another one gives other chains.
        precision: As of generate: 32-true, tf32 or bf16-mixed.
    """
    from tqdm import tqdm

    from domains.batch import Request, Sample
    from domains.capabilities import Drawing, capability
    from domains.field import load_field
    from domains.stages.at_hand import load_model
    from domains.stages.sampling import Sampled, Sampling, batches

    settings = _settings(length, number, model, seed, precision)
    field, plan = load_field("protein"), settings.generate
    network = load_model(field, model)
    sampling = Sampling(field, network, settings.sample_set("drawn"), seed, None, plan.precision)
    requests: dict[int, Request] = {}
    for index, request in enumerate(field.requests(plan, range(number), network, seed)):
        if isinstance(request, FewstepError):
            raise request
        requests[index] = request
    made: list[Sample] = []
    seconds = 0.0
    parts = list(batches(plan, dict.fromkeys(requests, length)))
    for part in tqdm(parts, desc="chains", mininterval=1.0):
        for index, found in sampling.samples({k: requests[k] for k in part}).items():
            if not isinstance(found, Sampled):
                raise found
            made.append(Sample(requests[index].name, found.points, requests[index].condition))
            seconds += found.seconds
    output.mkdir(parents=True, exist_ok=True)
    for one in made:
        field.write(one, output, {})
    capability(field, Drawing, "draws nothing").draw(made, output / "backbones.png")
    _log.info("%d chains of %d residues, %.2g s each: %s", number, length, seconds / number, output)
    _log.info("Cα atoms only. See %s/backbones.png, from blue (N) to red (C)", output)


def _settings(length: int, number: int, model: str, seed: int, precision: str) -> RunConfig:
    """Return the run that these options stand for."""
    from domains.config import parse_config
    from domains.stages.at_hand import trained_sampler

    sampler = trained_sampler(model)
    plan = {
        "lengths": [length],
        "per_length": number,
        "batch_points": max(_TOGETHER, length),
        "precision": precision,
    }
    content = {
        "name": "drawn",
        "domain": "protein",
        "seed": seed,
        "teacher": model,
        "generate": plan,
        "sets": {"drawn": {"model": "teacher", "sampler": sampler.model_dump()}},
    }
    return parse_config(content, "fewstep sample")
