"""Command: complete a directory of LiDAR scans with a finished model, no settings needed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from domains.errors import FewstepError

if TYPE_CHECKING:
    from domains.config import RunConfig

__all__ = ["complete"]

_log = logging.getLogger(__name__)


def complete(
    scans: Path,
    /,
    output: Path = Path("completed"),
    model: str = "lidar-street-8",
    columns: str = "",
    scan_points: bool = True,
    precision: str = "32-true",
) -> None:
    """Complete a directory of LiDAR scans: a PLY file and a picture of each.

    Args:
        scans: Directory of scans (.bin, .ply, .pcd).
        output: A new directory, of the completions.
        model: A student, by its directory or bundled name.
        columns: Names of a row's numbers in .bin scans, such as "x y z intensity ring".
        scan_points: Keep the scan's points, marked grey, beside the completed ones, blue.
        precision: As of generate: 32-true, tf32 or bf16-mixed.
    """
    from tqdm import tqdm

    from domains.batch import Request, Sample
    from domains.field import load_field
    from domains.files.fresh import fresh_directory
    from domains.stages.at_hand import load_model
    from domains.stages.sampling import Sampled, Sampling

    settings = _settings(model, str(scans), precision, columns)
    field = load_field("lidar").with_data(settings.data)
    plan, network = settings.generate, load_model(field, model)
    sampling = Sampling(field, network, settings.sample_set("completed"), 0, None, plan.precision)
    fresh_directory(output)
    seconds: list[float] = []
    skipped = 0
    for number in tqdm(range(len(settings.data.inputs())), desc="scans", mininterval=1.0):
        [request] = field.requests(plan, [number], network, 0)
        made = request
        if isinstance(request, Request):
            made = sampling.samples({number: request})[number]
        if isinstance(made, Sampled) and isinstance(request, Request):
            sample = Sample(request.name, made.points, request.condition)
            field.write(sample, output, {"completed": True, "scan_points": scan_points})
            seconds.append(made.seconds)
        else:
            _log.warning("skipped: %s", made)
            skipped += 1
    if not seconds:
        raise FewstepError(f"no scan of {scans} could be completed", do="See the lines above")
    each = sum(seconds) / len(seconds)
    _log.info("%d scans completed, %.2g s each; %d skipped", len(seconds), each, skipped)
    _log.info("See %s/*.png; grey points are the scan's, blue ones completed", output)


def _settings(model: str, scans: str, precision: str, columns: str) -> RunConfig:
    """Return the run that completes a directory of scans with a student, as it was trained.

    Args:
        model: Directory or bundled name of a student.
        scans: Directory of scans.
        precision: As of ``generate.precision``.
        columns: Names of a row's numbers in .bin scans, parted by spaces; none: told from content.
    """
    from domains.config import parse_config
    from domains.stages.at_hand import facts_of, sampler_of

    facts = facts_of(model)
    sampler, network = sampler_of(facts, model), facts["network"]
    named = {"columns": tuple(columns.split())} if columns else {}
    content = {
        "name": "completed",
        "domain": "lidar",
        "teacher": model,
        "data": {"scans": scans, "radius": network.get("radius", 50.0), **named},
        "generate": {"batch_points": 10**9, "precision": precision},
        "sets": {"completed": {"model": "teacher", "sampler": sampler.model_dump()}},
    }
    return parse_config(content, scans)
