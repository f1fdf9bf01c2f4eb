"""Graphs of Cα traces as the fold classifier GearNet-Cα sees them.

Zhang et al., ICLR 2023 (GearNet); relations, radius and features as in Proteina (Geffner et al.,
ICLR 2025), whose published classifier and reference features need exactly these. Coordinates are
angstrom here, and the lab frame matters: the angle's sign is that of a cross product's z.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from domains.errors import FewstepError

__all__ = ["MOST_NEIGHBOURS", "Graph", "build_graph", "edge_features", "sinusoid"]

MOST_NEIGHBOURS = 64
"""Spatial neighbours of a residue; no real domain comes near."""
_BASE = 3000.0
_FARTHEST = 20.0  # Å, centre of the last radial function


@dataclass(frozen=True)
class Graph:
    """Residues of several proteins and the directed edges between them.

    Args:
        points: Cα coordinates, Å, of all proteins in a row.
        positions: Index of each residue within its own protein, from 0.
        owner: Which protein each residue is of.
        source: Source node of each edge.
        target: Target node of each edge.
        relation: Its kind: offset in sequence + 2 (0 to 4, never 2), or 5: near in space.
        capped: Residues with more near neighbours than are kept.
    """

    points: Float[Tensor, "n 3"]
    positions: Int[Tensor, " n"]
    owner: Int[Tensor, " n"]
    source: Int[Tensor, " e"]
    target: Int[Tensor, " e"]
    relation: Int[Tensor, " e"]
    capped: int

    @property
    def proteins(self) -> int:
        """Number of proteins."""
        return int(self.owner[-1]) + 1


def build_graph(
    chains: Sequence[Float[Tensor, "_ 3"]],
    positions: Sequence[Int[Tensor, " _"]] | None = None,
    *,
    relations: int = 6,
    radius: float = 10.0,
) -> Graph:
    """Return the graph of some proteins; no edge joins two of them.

    Args:
        chains: Cα coordinates of each protein, Å.
        positions: Row of each residue in its protein; 0, 1, 2 … if None. A residue without Cα
            leaves a gap here.
        relations: Kinds of edges, odd offsets of the window on either side plus one for space.
        radius: Residues strictly nearer than this are near, Å.

    Raises:
        FewstepError: No protein, one of fewer than two residues, or coordinates that are not
            finite.
    """
    if not chains:
        raise FewstepError("no protein to classify")
    places = positions or [torch.arange(len(chain), device=chain.device) for chain in chains]
    edges, capped, first = [], 0, 0
    for chain, place in zip(chains, places, strict=True):
        _check(chain)
        found, over = _edges(chain.float(), place, (relations - 1) // 2, radius)
        edges.append(found + torch.tensor([[first], [first], [0]], device=chain.device))
        capped, first = capped + over, first + len(chain)
    source, target, relation = torch.cat(edges, dim=1)
    sizes = torch.tensor([len(chain) for chain in chains], device=chains[0].device)
    owner = torch.arange(len(chains), device=sizes.device).repeat_interleave(sizes)
    points = torch.cat(list(chains)).float()
    return Graph(points, torch.cat(list(places)), owner, source, target, relation, capped)


def _check(chain: Float[Tensor, "n 3"]) -> None:
    if chain.ndim != 2 or chain.shape[1] != 3 or len(chain) < 2:
        raise FewstepError(
            "a chain to classify", expected="[n, 3] with n at least 2", got=list(chain.shape)
        )
    if not bool(torch.isfinite(chain).all()):
        raise FewstepError(
            "a chain to classify has coordinates that are not finite",
            do="Leave the sample out, and count it",
        )


def _edges(
    chain: Float[Tensor, "n 3"], place: Int[Tensor, " n"], window: int, radius: float
) -> tuple[Int[Tensor, "3 e"], int]:
    """Return (source, target, relation) of one protein, and how many residues were capped."""
    # A matrix of targets (rows) and sources (columns).
    offset = place[None] - place[:, None]
    itself = torch.eye(len(chain), dtype=torch.bool, device=chain.device)
    bonded = (offset.abs() <= window) & ~itself
    target, source = bonded.nonzero(as_tuple=True)
    # The relation is the source's view: where the target is.
    sequence = torch.stack((source, target, window - offset[target, source]))
    near = ((chain[:, None] - chain[None]) ** 2).sum(-1) < radius**2
    # As torch_cluster 1.6.3 does on a GPU: the first 65 in the order of the chain, less itself.
    kept = near & (near.cumsum(dim=1) <= MOST_NEIGHBOURS + 1) & ~itself
    target, source = kept.nonzero(as_tuple=True)
    space = torch.stack((source, target, torch.full_like(source, 2 * window + 1)))
    capped = int((near.sum(1) > MOST_NEIGHBOURS + 1).sum())
    return torch.cat((sequence, space), dim=1), capped


def sinusoid(numbers: Int[Tensor, " n"], width: int) -> Float[Tensor, "n width"]:
    """Return all sines, then all cosines, of π·number / 3000^(2k/width).

    In float32 and in this order: sin(π·number) is rounding noise, and the classifier was
    trained on that noise.
    """
    powers = torch.arange(width // 2, device=numbers.device, dtype=torch.float32)
    phase = (numbers.float() * math.pi)[:, None] / _BASE ** (2 * powers / width)
    return torch.cat((phase.sin(), phase.cos()), dim=-1)


def edge_features(graph: Graph, width: int) -> Float[Tensor, "e width"]:
    """Return distances (radial functions), offsets in sequence and angles of edges, float32."""
    points, source, target = graph.points, graph.source, graph.target
    distance = (points[source] - points[target]).norm(dim=-1)
    centres = torch.linspace(0, _FARTHEST, width // 2, device=points.device)
    radial = torch.exp(-(((distance[:, None] - centres) / (_FARTHEST / (width // 2))) ** 2))
    steps = sinusoid(graph.positions[target] - graph.positions[source], width // 2 - 2)
    angle = _angles(graph)
    return torch.cat((radial, steps, angle.sin()[:, None], angle.cos()[:, None]), dim=-1)


def _angles(graph: Graph) -> Float[Tensor, " e"]:
    """Return the angle that an edge spans at its protein's centre, signed by the lab's z axis."""
    sums = torch.zeros(graph.proteins, 3, device=graph.points.device)
    sums.index_add_(0, graph.owner, graph.points)
    centred = graph.points - (sums / graph.owner.bincount()[:, None])[graph.owner]
    start, end = centred[graph.source], centred[graph.target]
    normal = torch.linalg.cross(start, end, dim=-1)
    angle = torch.atan2(normal.norm(dim=-1), (start * end).sum(-1))
    return angle * torch.sign(normal[:, 2])
