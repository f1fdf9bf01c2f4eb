"""Held-out domains to measure beside samples, and decoys made of them."""

from collections.abc import Callable

import numpy as np
import torch

from domains.batch import Sample
from domains.protein.conditions.asked_folds import level_of
from domains.protein.conditions.folds import agree, code_to_level, condition_of, full_code
from domains.protein.data.dataset import CathDomains
from domains.protein.metrics.geometry import decoys as wrong
from domains.protein.settings import FoldDistribution, ProteinGenerate

__all__ = ["decoys", "held_out"]

# Enough to break bonds, little enough to keep the fold.
_DECOY_NOISE_NM = 0.1


def held_out(known: CathDomains, plan: ProteinGenerate, seed: int) -> dict[int, Sample]:
    """Return for each sample number the test domain of the nearest length not yet taken.

    Where samples are asked for a fold class, they are of that class; a number whose class has no
    domain left is absent. Where classes are drawn, natives are of any, and asked for their own.

    Args:
        known: The run's domains, of all splits.
        plan: The samples to compare with.
        seed: Decides which of several domains of a length is taken.

    Raises:
        FewstepError: The domains have no test split.
    """
    domains = known.subset("test")
    order = np.random.default_rng(seed).permutation(len(domains)).tolist()
    drawn = plan.fold if isinstance(plan.fold, FoldDistribution) else None
    asked = plan.fold if isinstance(plan.fold, tuple) else ()
    classes: tuple[str | None, ...] = asked or (None,)
    left = {code: [k for k in order if _is(code, domains.cath[k])] for code in classes}
    taken: dict[int, Sample] = {}
    for number in range(plan.count):
        code, size = plan.fold_of(number), plan.size(number)
        if not any(left.values()):
            break
        if not left[code]:
            continue
        near = min(left[code], key=lambda index: abs(int(domains.lengths[index]) - size))
        left = {each: [k for k in rest if k != near] for each, rest in left.items()}
        points = torch.from_numpy(np.array(domains.points(near)))
        if drawn and not domains.cath[near].startswith("x"):
            level = level_of(drawn, seed, number)
            code = code_to_level(domains.cath[near], level) if level else None
        taken[number] = Sample(domains.ids[near], points, condition_of(code))
    return taken


def _is(named: str | None, code: str) -> bool:
    return named is None or agree(full_code(named), code)


def decoys(known: CathDomains, plan: ProteinGenerate, seed: int) -> dict[int, Sample]:
    """Return wrong chains made from ``held_out``, six kinds in turn."""
    rng = np.random.default_rng(seed)
    made = {}
    for number, native in held_out(known, plan, seed).items():
        name, points = _decoy(number, native.points.numpy().astype(float), rng)
        chain = torch.from_numpy(points).float()
        made[number] = Sample(f"{name}_{native.name}", chain, native.condition)
    return made


def _decoy(kind: int, points: np.ndarray, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Return one of six kinds of decoy, named."""
    makers: list[tuple[str, Callable[[], np.ndarray]]] = [
        ("noised", lambda: wrong.noised(points, _DECOY_NOISE_NM, rng)),
        ("mirrored", lambda: wrong.mirrored(points)),
        ("torsions", lambda: wrong.torsion_shuffled(points, rng)),
        ("segments", lambda: wrong.segment_shuffled(points, rng)),
        ("coil", lambda: wrong.coil(len(points), rng)),
        ("globule", lambda: wrong.globule(len(points), rng)),
    ]
    name, make = makers[kind % len(makers)]
    return name, make()
