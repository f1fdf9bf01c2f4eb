"""Motif scaffolding: residues whose places are given, and the chain to be designed around them.

Geffner et al., "Proteina" (arXiv 2503.00710), motif scaffolding. A motif sits in its own frame,
its centre at the origin, and so do the chains of a motif model: nothing else is centred.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from domains.batch import Batch
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.protein.conditions.contig import Contig, Residue, parse_contig
from domains.protein.conditions.located import located
from domains.protein.conditions.motif import draw_placement
from domains.protein.data.dataset import load_domains
from domains.protein.files.chains import Chain
from domains.protein.files.structure import read_chains
from domains.protein.settings import PACKED, Scaffold

__all__ = ["Motif", "MotifSource", "check_motifs", "draw_motif", "motif_tensors", "with_motifs"]

_LEAST = 3  # residues: fewer have no orientation
_SHARES = (0.05, 0.5)  # of a training chain
_MOST_SEGMENTS = 4


@dataclass(frozen=True, eq=False)
class Motif:
    """Residues of a chain whose places are given.

    Args:
        positions: Where in the chain they are, from 0, rising.
        points: Where in space, nm, centred.
    """

    positions: tuple[int, ...]
    points: Float[np.ndarray, "m 3"]

    @classmethod
    def of(cls, mask: Bool[np.ndarray, " n"], points: Float[np.ndarray, "m 3"]) -> "Motif":
        """Return the motif of the residues in a mask, moved to the origin."""
        return cls(tuple(np.flatnonzero(mask).tolist()), points - points.mean(0))


class MotifSource:
    """A motif of a structure, placed anew for each chain as its contig allows.

    Args:
        settings: The structure and the contig.
        data: File of the run's packed domains, of which the structure may be one; None for those
            of the package.

    Raises:
        FewstepError: The structure can't be read or lacks a residue of the contig, or the
            contig can't be parsed or asks for fewer than three residues.
    """

    def __init__(self, settings: Scaffold, data: str | None = None):
        chains = _chains(settings.structure, data)
        contig = parse_contig(settings.contig)
        self.contig: Contig = located(contig, chains, settings.structure)
        self._known: dict[Residue, Float[np.ndarray, " 3"]] = {
            Residue(name, *residue): point
            for name, chain in chains.items()
            for residue, point in zip(chain.residues, chain.points, strict=True)
        }
        wanted = [residue for part in self.contig.parts for residue in part.residues]
        if len(wanted) < _LEAST:
            raise FewstepError(
                "a motif is too small", expected=f"at least {_LEAST} residues", got=len(wanted)
            )

    def place(self, size: int, key: str) -> Motif:
        """Return the motif in a chain of a given length; ``key`` decides where.

        Raises:
            FewstepError: The contig allows no chain of this length.
        """
        placement = draw_placement(
            self.contig, random.Random(key), min_length=size, max_length=size
        )
        points = np.array([self._known[residue] for residue in placement.residues])
        return Motif.of(placement.mask, points)


def _chains(structure: str, data: str | None) -> dict[str, Chain]:
    """Return the chains of a file, or a packed domain as chain A from residue 1."""
    if not structure.startswith(PACKED):
        return read_chains(Path(structure))
    name, domains = structure.removeprefix(PACKED), load_domains(data)
    if name not in domains.ids:
        where = f"in {data}" if data else "of the package"
        raise FewstepError(
            f"there is no packed domain {name!r} {where}",
            do="Name one of the run's data, or a file",
        )
    points = np.array(domains.points(domains.ids.index(name)), dtype=np.float64)
    return {"A": Chain("A", points, np.arange(1, len(points) + 1), ("",) * len(points))}


def check_motifs(
    knows: bool, scaffold: Scaffold | None, data: str | None = None
) -> MotifSource | None:
    """Load the motif of a plan's scaffold section; None without one.

    Args:
        knows: Whether the model was trained with motifs.
        scaffold: The section.
        data: File of the run's packed domains; None for those of the package.

    Raises:
        FewstepError: The model knows no motifs and one is asked for, or the other way round.
    """
    if knows and scaffold is None:
        raise FewstepError(
            "the model needs a motif, and none is asked for", do="Set generate.scaffold"
        )
    if scaffold is not None and not knows:
        raise FewstepError(
            "the model was not trained with motifs",
            do="Leave out generate.scaffold, or take another",
        )
    return MotifSource(scaffold, data) if scaffold else None


def draw_motif(points: Float[np.ndarray, "n 3"], stream: np.random.Generator) -> Motif:
    """Return a random part of a chain: 5 to 50 % of it, in one to four segments.

    Args:
        points: Coordinates of the chain, nm.
        stream: Random numbers.
    """
    length = len(points)
    count = min(length, max(_LEAST, round(float(stream.uniform(*_SHARES)) * length)))
    segments = int(stream.integers(1, min(_MOST_SEGMENTS, count) + 1))
    inside = _parts(count, segments, stream, least=1)
    outside = _parts(length - count, segments + 1, stream, least=0)
    mask = np.zeros(length, dtype=bool)
    end = 0
    for gap, size in zip(outside, inside, strict=False):
        mask[end + gap : end + gap + size] = True
        end += gap + size
    return Motif.of(mask, points[mask])


def _parts(total: int, count: int, stream: np.random.Generator, least: int) -> list[int]:
    """Return ``count`` numbers of at least ``least`` that add up to ``total``."""
    free = total - least * count
    cuts = np.sort(stream.integers(0, free + 1, size=count - 1))
    return (np.diff([0, *cuts, free]) + least).tolist()


def motif_tensors(motifs: Sequence[Motif | None], mask: Bool[Tensor, "b n"]) -> dict[str, Any]:
    """Build the network's motif features of a batch; empty if no sample has a motif.

    Returns:
        ``motif_mask`` [b, n], ``x_motif`` [b, n, 3] in nm, zero elsewhere, and ``motif_pairs``
        [b, n, n], both residues in the motif.
    """
    if not any(motifs):
        return {}
    inside = torch.zeros_like(mask)
    points = torch.zeros(*mask.shape, 3)
    for row, motif in enumerate(motifs):
        if motif is not None:
            places = torch.tensor(motif.positions)
            inside[row, places] = True
            points[row, places] = torch.from_numpy(motif.points).float()
    pairs = inside[:, :, None] & inside[:, None]
    return {"motif_mask": inside, "x_motif": points, "motif_pairs": pairs}


def with_motifs(batch: Batch, draws: Draws) -> Batch:
    """Give each real chain of a batch a random motif, and move it into the motif's frame."""
    assert batch.points is not None
    stream = np.random.default_rng(draws.integer("motif", 1 << 40))
    motifs, shifts = [], []
    for points, real in zip(batch.points.cpu(), batch.mask.cpu(), strict=True):
        chain = points[real].numpy().astype(np.float64)
        motif = draw_motif(chain, stream)
        motifs.append(motif)
        shifts.append(chain[list(motif.positions)].mean(0))
    device = batch.points.device
    shift = torch.tensor(np.array(shifts), dtype=batch.points.dtype, device=device)
    told = motif_tensors(motifs, batch.mask.cpu())
    return replace(
        batch,
        points=(batch.points - shift[:, None]) * batch.mask[..., None],
        condition={**batch.condition, **{name: value.to(device) for name, value in told.items()}},
    )
