"""Fold distributions of a set of chains, compared with those of natives."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from domains.evaluation.statistics.energy_distance import EnergyDistance
from domains.evaluation.statistics.jackknife import all_but_one, jackknife_interval
from domains.evaluation.statistics.measured import SetMeasure
from domains.files.provenance import named, sha256
from domains.protein.evaluate_settings import DESCRIPTORS
from domains.protein.metrics.folds.fold_judge import ContentJudge
from domains.protein.metrics.geometry import secondary_structure
from domains.protein.metrics.similarity import descriptors
from domains.protein.settings import ProteinEvaluate

__all__ = ["by_classifier", "by_descriptors", "described"]

_LEAST = 10  # chains of which a covariance says something
_MOST = 2000  # chains whose distances to each other are taken: 16 MB of numbers


def described(chains: Iterable[Float[np.ndarray, "_ 3"]]) -> Float[np.ndarray, "n d"]:
    """Return the descriptors of chains; the first two are the shares of helix and strand."""
    rows = [descriptors.describe(chain) for chain in chains]
    return np.array(rows).reshape(-1, len(DESCRIPTORS))


def by_descriptors(
    found: Float[np.ndarray, "n d"],
    known: Float[np.ndarray, "m d"],
    codes: Sequence[str],
    seed: int,
) -> Iterator[SetMeasure]:
    """Yield distances of descriptors to natives', where there are enough chains.

    ``descriptor_frechet`` is of all six, ``sse_energy_distance`` of the joint shares of helix
    and strand, and ``sse_class_jsd`` of the classes that these make, where natives' are known.

    Args:
        found: Descriptors of the samples.
        known: Descriptors of training domains of their sizes.
        codes: Their CATH codes.
        seed: Of the intervals.
    """
    if min(len(found), len(known)) < _LEAST:
        return
    kinds = f"{len(DESCRIPTORS)} descriptors, {len(known)} training domains"
    yield _measure(
        "descriptor_frechet",
        lambda rows: descriptors.descriptor_frechet(found[rows], known),
        len(found),
        seed,
        f"{named('fewstep')}, {kinds}",
    )
    content = f"{secondary_structure.tool()}, {len(known)} training domains"
    shares, some = EnergyDistance(known[:, :2]), found[:, :2]
    said = ""
    if len(some) > _MOST:
        some = some[np.random.default_rng(seed).choice(len(some), _MOST, replace=False)]
        said = f", {_MOST} samples drawn at random"
    yield _measure(
        "sse_energy_distance", lambda rows: shares.to(some[rows]), len(some), seed, content + said
    )
    judge = ContentJudge(known[:, :2], codes)
    if not judge.names:
        return
    classes = [[judge.judge(*row) for row in values[:, :2]] for values in (found, known)]
    yield _measure(
        "sse_class_jsd",
        lambda rows: descriptors.class_jsd([classes[0][k] for k in rows], classes[1]),
        len(found),
        seed,
        content,
    )


def by_classifier(
    chains: Sequence[Float[np.ndarray, "_ 3"]], config: ProteinEvaluate, seed: int, drawn: str = ""
) -> Iterator[SetMeasure]:
    """Yield fS, and FPSD and fJSD to each reference file; nothing without a classifier.

    Args:
        chains: Finite samples, nm.
        config: Where the classifier and the reference files are.
        seed: Of the intervals.
        drawn: End of the tool's name, where these are not all samples.
    """
    if not config.fold_classifier or len(chains) < 2:
        return
    from domains.protein.metrics.folds import fold_distribution as folds
    from domains.protein.metrics.folds.gearnet import LEVELS, load_gearnet

    references = {
        name: folds.read_reference(Path(path)) for name, path in config.fold_references.items()
    }
    weights = Path(config.fold_classifier)
    classified = load_gearnet(weights).classify(chains)
    tool = f"{named('fewstep')}, GearNet-Cα of sha256 {sha256(weights)[:12]}{drawn}"
    if classified.capped:
        tool += f", {classified.capped} residues with more than 64 neighbours"

    def of(rows: Any) -> folds.FoldStatistics:
        return folds.FoldStatistics.of(classified, rows)

    whole, parts = of(slice(None)), [of(rows) for rows in all_but_one(len(chains), seed)]
    found: dict[str, tuple[Callable[[folds.FoldStatistics], float], str]] = {
        f"fs_{level.lower()}": (partial(folds.fold_score, level=level), tool) for level in LEVELS
    }
    for name, reference in references.items():
        said = f"{tool}, {reference.count} structures of {name}"
        found[f"fpsd_{name}"] = partial(folds.fpsd, reference=reference), said
        for level in LEVELS:
            compare = partial(folds.fold_jsd, reference=reference, level=level)
            found[f"fjsd_{level.lower()}_{name}"] = compare, said
    for name, (metric, said) in found.items():
        interval = jackknife_interval(metric(whole), [metric(part) for part in parts])
        yield SetMeasure(name, interval, len(chains), said)


def _measure(
    name: str, metric: Callable[[Any], float], count: int, seed: int, tool: str
) -> SetMeasure:
    """Return a measure of all rows, with the interval of leaving groups of them out."""
    without = [metric(rows) for rows in all_but_one(count, seed)]
    return SetMeasure(name, jackknife_interval(metric(range(count)), without), count, tool)
