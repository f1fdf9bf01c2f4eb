"""Finished students in Python: sample backbones, complete scans, without a run's settings."""

from __future__ import annotations

import logging
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, get_args

import numpy as np
from jaxtyping import Float, Float32

from domains.errors import FewstepError

if TYPE_CHECKING:
    from biotite.structure import AtomArrayStack

    from domains.batch import Request, Sample
    from domains.config import RunConfig
    from domains.stages.sampling import Sampling

__all__ = ["ProteinStudent", "SceneStudent", "whole"]

_log = logging.getLogger(__name__)
_RESIDUES = 2048  # that are computed together: what a laptop's memory holds
_ANGSTROM = 10.0  # per nanometre


class ProteinStudent:
    """A student that makes protein backbones, sampled as it was trained.

    Args:
        model: Its directory or bundled name.
        precision: As of ``generate.precision``: 32-true, tf32 or bf16-mixed.
        refine: Make the bonds of each chain ideal, as a set's `refine` does: no network call.

    Raises:
        FewstepError: There is no such model, it is damaged, or no student.
    """

    def __init__(
        self,
        model: str | Path = "proteina-small-8",
        precision: str = "32-true",
        refine: bool = True,
    ):
        from domains.stages.at_hand import facts_of, sampler_of

        self.model, self.precision, self.refine = str(model), precision, refine
        self._network: Any = None
        self._facts = facts_of(self.model)
        self._sampler = sampler_of(self._facts, self.model).model_dump()

    def sample(
        self, length: SupportsIndex = 100, number: SupportsIndex = 1, seed: SupportsIndex = 0
    ) -> Float32[np.ndarray, "number length 3"]:
        """Sample Cα traces.

        Args:
            length: Residues of a chain.
            number: Chains.
            seed: Decides the noise; the first chains of a larger number are the same but for
                rounding.

        Returns:
            Coordinates in ångström.
        """
        samples = [sample for sample, _ in self.samples(length, number, seed)]
        return np.stack([_ANGSTROM * one.points.numpy() for one in samples]).astype(np.float32)

    def structures(
        self,
        length: SupportsIndex = 100,
        number: SupportsIndex = 1,
        seed: SupportsIndex = 0,
        backbone: bool = False,
    ) -> AtomArrayStack:
        """Sample chains, as of ``sample``, as biotite models: chain A, alanines.

        Args:
            length: Residues of a chain.
            number: Chains.
            seed: Decides the noise.
            backbone: Rebuild N, C and O around the Cα (``rebuild_backbone``).
        """
        from domains.protein.files.backbone import BACKBONE, alanines, rebuild_backbone

        traces = [sample.points.numpy() for sample, _ in self.samples(length, number, seed)]
        if backbone:
            return alanines(np.stack([rebuild_backbone(one) for one in traces]), BACKBONE)
        return alanines(np.stack(traces)[:, :, None], ["CA"])

    def samples(
        self, length: SupportsIndex, number: SupportsIndex, seed: SupportsIndex
    ) -> Iterator[tuple[Sample, float]]:
        """Yield chains in nanometre as they are made, each with its seconds."""
        from domains.batch import Sample
        from domains.stages.sampling import Sampled, batches

        size, count = whole("length", length), whole("number", number)
        self._warn_of(size)
        settings = self._run(size, count, whole("seed", seed))
        sampling, plan = self._sampling(settings), settings.generate
        made = sampling.field.requests(plan, range(count), sampling.network, settings.seed)
        requests = {index: _allowed(request) for index, request in enumerate(made)}
        for part in batches(plan, dict.fromkeys(requests, size)):
            for index, one in sampling.samples({k: requests[k] for k in part}).items():
                if not isinstance(one, Sampled):
                    raise one
                request = requests[index]
                yield Sample(request.name, one.points, request.condition), one.seconds

    def _warn_of(self, length: int) -> None:
        """Say that a length is none of those that the student was trained on."""
        trained = self._facts.get("provenance", {}).get("distil", {}).get("lengths") or {}
        low, high = trained.get("low", length), trained.get("high", length)
        if not low <= length <= high:
            _log.warning(
                "%s was trained on chains of %d to %d residues; how good those of %d are is not"
                " known",
                *(self.model, low, high, length),
            )

    def _sampling(self, settings: RunConfig) -> Sampling:
        from domains.field import load_field
        from domains.stages.at_hand import load_model
        from domains.stages.sampling import Sampling

        field = load_field("protein")
        if self._network is None:
            self._network = load_model(field, self.model)
        one = settings.sample_set("drawn")
        precision = settings.generate.precision
        return Sampling(field, self._network, one, settings.seed, None, precision)

    def _run(self, length: int, number: int, seed: int) -> RunConfig:
        """Return the run that these arguments stand for."""
        from domains.config import parse_config

        plan = {
            "lengths": [length],
            "per_length": number,
            "batch_points": max(_RESIDUES, length),
            "precision": self.precision,
        }
        content = {
            "name": "drawn",
            "domain": "protein",
            "seed": seed,
            "teacher": self.model,
            "generate": plan,
            "sets": {
                "drawn": {"model": "teacher", "sampler": self._sampler, "refine": self.refine}
            },
        }
        return parse_config(content, "fewstep sample")


class SceneStudent:
    """A student that completes LiDAR scans, sampled as it was trained.

    Args:
        model: Its directory or bundled name.
        precision: As of ``generate.precision``: 32-true, tf32 or bf16-mixed.

    Attributes:
        radius: Distance from the sensor up to which it completes, metre.

    Raises:
        FewstepError: There is no such model, it is damaged, or no student.
    """

    def __init__(self, model: str | Path = "lidar-street-8", precision: str = "32-true"):
        from domains.config import SampleSet
        from domains.config.sections import Precision
        from domains.field import load_field
        from domains.stages.at_hand import load_model, trained_sampler
        from domains.stages.sampling import Sampling

        known = get_args(Precision)
        if precision not in known:
            raise FewstepError("unknown precision", expected=f"one of {known}", got=precision)
        self.model, field = str(model), load_field("lidar")
        one = SampleSet(model="teacher", sampler=trained_sampler(self.model))
        network: Any = load_model(field, self.model)
        self.radius = float(network.config.radius)
        self.sampling = Sampling(field, network, one, 0, None, precision)

    def complete(self, scan: Float[np.ndarray, "n c"], seed: int = 0) -> Float32[np.ndarray, "m 3"]:
        """Complete one scan.

        Args:
            scan: Points in the sensor's frame, metre: x forward, y left, z up in the first three
                columns. Points nearer than 3.5 m or farther than ``radius`` are left out.
            seed: Decides the noise.

        Returns:
            Points of the completed scene within ``radius``, metre; the scan's are not among them.

        Raises:
            FewstepError: The scan is no such array, or it or its completion has no points in reach.
        """
        from dataclasses import replace

        from domains.capabilities import Completing, capability
        from domains.stages.sampling import Sampled

        points = np.asarray(scan)
        numbers = points.dtype.kind in "fiu" and points.ndim == 2 and points.shape[1] >= 3
        if not numbers or not np.isfinite(points[:, :3]).all():
            raise FewstepError(
                "bad scan",
                expected="finite numbers of shape (n, 3 or more)",
                got=f"{points.dtype} of shape {points.shape}",
            )
        completing = capability(self.sampling.field, Completing, "completes nothing")
        request = completing.request_of("scan", points[:, :3], self.sampling.network)
        made = replace(self.sampling, seed=seed).samples({0: request})[0]
        if not isinstance(made, Sampled):
            raise made
        return made.points.numpy().astype(np.float32)


def whole(name: str, value: Any) -> int:
    """Return an argument as an integer; NumPy's are welcome.

    Raises:
        FewstepError: It is none.
    """
    try:
        return operator.index(value)
    except TypeError as error:
        raise FewstepError(f"bad {name}", expected="an integer", got=repr(value)) from error


def _allowed(request: Request | FewstepError) -> Request:
    if isinstance(request, FewstepError):
        raise request
    return request
