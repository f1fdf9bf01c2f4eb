"""The Cα-only ProteinMPNN network: an encoder of one structure, a decoder of many sequences.

Dauparas et al., Science 378 (2022) 49, "Robust deep learning-based protein sequence design
using ProteinMPNN"; the layers follow Ingraham et al., NeurIPS 2019. This is our own code for
the published weights, because the package that ships them pins numpy < 2, repeats the encoder
for every sequence, and takes its cross products along the wrong axis when a batch has three
members (``torch.cross`` without ``dim``).

Every first layer of a message is a sum of products, one per part of its input. The part that
depends on the structure alone is computed once, and the sum over neighbours is taken before
the last (linear) layer, so a decoding step costs one matrix product per layer and neighbour.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["ALPHABET", "Encoding", "Network"]

# Order of the 21 output classes in the published weights; X stands for an unknown residue.
ALPHABET = "ACDEFGHIKLMNPQRSTVWYX"

WIDTH = 128  # hidden channels of every published Cα model
MESSAGE_SCALE = 30.0  # messages are summed and divided by this, whatever the neighbour count
MAX_OFFSET = 32  # sequence separations beyond this share one embedding
PAIR_ORDER = ("11", "00", "22", "01", "02", "10", "12", "20", "21")  # 0 previous, 1 own, 2 next


def _radial_basis(distances: Float[Tensor, "n k"]) -> Float[Tensor, "n k 16"]:
    """Return 16 Gaussians of a distance, centres 2-22 Å."""
    centres = torch.linspace(2.0, 22.0, 16, device=distances.device)
    return torch.exp(-(((distances[..., None] - centres) / 1.25) ** 2))


def _distances(first: Float[Tensor, "n 3"], second: Float[Tensor, "n 3"]) -> Float[Tensor, "n n"]:
    """Return all distances; the small constant keeps the published rounding at zero."""
    return torch.sqrt(((first[:, None] - second[None]) ** 2).sum(-1) + 1e-6)


def _frames(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Return the local axes (as rows) of each residue, zero at the chain's ends.

    Steps outside 3.6-4.0 Å are zeroed, which is how the network learned to see chain breaks.
    """
    steps = points[1:] - points[:-1]
    length = steps.norm(dim=-1, keepdim=True)
    steps = F.normalize(steps * ((length > 3.6) & (length < 4.0)), dim=-1)
    before, after = steps[:-2], steps[1:-1]
    normal = F.normalize(torch.linalg.cross(before, after, dim=-1), dim=-1)
    bisector = F.normalize(before - after, dim=-1)
    axes = torch.stack((bisector, normal, torch.linalg.cross(bisector, normal, dim=-1)), dim=1)
    return F.pad(axes, (0, 0, 0, 0, 1, 2))


def _quaternions(rotation: Float[Tensor, "n k 3 3"]) -> Float[Tensor, "n k 4"]:
    """Return unit quaternions (x, y, z, w), w >= 0, of rotation matrices."""
    diagonal = torch.diagonal(rotation, dim1=-2, dim2=-1)
    trace = diagonal.sum(-1, keepdim=True)
    size = 0.5 * torch.sqrt(torch.abs(1 + 2 * diagonal - trace))
    skew = rotation - rotation.transpose(-1, -2)
    sign = torch.sign(torch.stack((skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]), dim=-1))
    real = torch.sqrt(F.relu(1 + trace)) / 2
    return F.normalize(torch.cat((sign * size, real), dim=-1), dim=-1)


def _orientations(
    points: Float[Tensor, "n 3"], neighbours: Int[Tensor, "n k"]
) -> Float[Tensor, "n k 7"]:
    """Return each neighbour's direction and relative rotation in the residue's own axes."""
    frames = _frames(points)
    towards = points[neighbours] - points[:, None]
    direction = F.normalize((frames[:, None] @ towards[..., None]).squeeze(-1), dim=-1)
    rotation = frames[:, None].transpose(-1, -2) @ frames[neighbours]
    return torch.cat((direction, _quaternions(rotation)), dim=-1)


class Positions(nn.Module):
    """Embedding of the sequence separation of two residues of one chain."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2 * MAX_OFFSET + 2, 16)  # one class is for other chains

    def forward(self, offset: Int[Tensor, "n k"]) -> Float[Tensor, "n k 16"]:
        """Return the row of each class; the published network multiplies one-hot vectors."""
        return F.embedding(offset, self.linear.weight.T) + self.linear.bias


class Features(nn.Module):
    """Edges of the nearest-neighbour graph and their embedding."""

    def __init__(self, neighbours: int):
        super().__init__()
        self.neighbours = neighbours
        self.embeddings = Positions()
        self.edge_embedding = nn.Linear(16 + 16 * len(PAIR_ORDER) + 7, WIDTH, bias=False)
        self.norm_edges = nn.LayerNorm(WIDTH)

    def forward(
        self, points: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n k c"], Int[Tensor, "n k"]]:
        """Return edge features and neighbour indices; ``points`` in angstrom.

        The missing neighbour at either end sits at the coordinates' origin, as in training.
        """
        own = _distances(points, points)
        count = min(self.neighbours, len(points))
        index = torch.topk(own, count, dim=-1, largest=False).indices
        atoms = {
            "0": F.pad(points[:-1], (0, 0, 1, 0)),
            "1": points,
            "2": F.pad(points[1:], (0, 0, 0, 1)),
        }
        radial = [
            _radial_basis(_distances(atoms[a], atoms[b]).gather(1, index)) for a, b in PAIR_ORDER
        ]
        place = torch.arange(len(points), device=points.device)
        offset = (place[:, None] - index + MAX_OFFSET).clamp(0, 2 * MAX_OFFSET)
        edges = torch.cat((self.embeddings(offset), *radial, _orientations(points, index)), dim=-1)
        return self.norm_edges(self.edge_embedding(edges)), index


def _part(linear: nn.Linear, part: int, value: Tensor) -> Tensor:
    """Return one summand of ``linear`` over a concatenation of ``WIDTH``-wide parts."""
    return F.linear(value, linear.weight[:, part * WIDTH : (part + 1) * WIDTH])


class FeedForward(nn.Module):
    """Two linear layers with GELU, four times as wide inside."""

    def __init__(self):
        super().__init__()
        self.W_in = nn.Linear(WIDTH, 4 * WIDTH)
        self.W_out = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, nodes: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        """Return the transformed nodes."""
        return self.W_out(F.gelu(self.W_in(nodes)))


class Layer(nn.Module):
    """Message passing from neighbours to nodes; ``parts`` inputs are concatenated in a message."""

    def __init__(self, parts: int):
        super().__init__()
        self.W1 = nn.Linear(parts * WIDTH, WIDTH)
        self.W2 = nn.Linear(WIDTH, WIDTH)
        self.W3 = nn.Linear(WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.dense = FeedForward()

    def update(
        self, nodes: Float[Tensor, "*b c"], first: Float[Tensor, "*b k c"]
    ) -> Float[Tensor, "*b c"]:
        """Return new nodes, given the messages' first layer summed without bias."""
        hidden = F.gelu(self.W2(F.gelu(first + self.W1.bias))).sum(-2)
        message = F.linear(hidden, self.W3.weight) + first.shape[-2] * self.W3.bias
        nodes = self.norm1(nodes + message / MESSAGE_SCALE)
        return self.norm2(nodes + self.dense(nodes))


class EncoderLayer(Layer):
    """A layer that updates the edges as well."""

    def __init__(self):
        super().__init__(parts=3)
        self.W11 = nn.Linear(3 * WIDTH, WIDTH)
        self.W12 = nn.Linear(WIDTH, WIDTH)
        self.W13 = nn.Linear(WIDTH, WIDTH)
        self.norm3 = nn.LayerNorm(WIDTH)

    @staticmethod
    def _first(linear: nn.Linear, nodes: Tensor, edges: Tensor, index: Tensor) -> Tensor:
        return (
            _part(linear, 0, nodes)[:, None]
            + _part(linear, 1, edges)
            + _part(linear, 2, nodes)[index]
        )

    def forward(
        self, nodes: Float[Tensor, "n c"], edges: Float[Tensor, "n k c"], index: Int[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n k c"]]:
        """Return updated nodes and edges."""
        nodes = self.update(nodes, self._first(self.W1, nodes, edges, index))
        hidden = F.gelu(self._first(self.W11, nodes, edges, index) + self.W11.bias)
        return nodes, self.norm3(edges + self.W13(F.gelu(self.W12(hidden))))


@dataclass(frozen=True)
class Encoding:
    """All that decoding needs to know of one structure.

    Args:
        nodes: Encoder output per residue.
        index: Neighbours of each residue, nearest (itself) first.
        edges: Per decoder layer, the edges' share of the first message layer.
        unseen: Per decoder layer, the share of a neighbour that has no residue type yet.
    """

    nodes: Float[Tensor, "n c"]
    index: Int[Tensor, "n k"]
    edges: tuple[Float[Tensor, "n k c"], ...]
    unseen: tuple[Float[Tensor, "n c"], ...]


class Network(nn.Module):
    """Cα-only ProteinMPNN; parameter names are those of the published weight files."""

    def __init__(self, neighbours: int = 48, layers: int = 3):
        super().__init__()
        self.features = Features(neighbours)
        self.W_e = nn.Linear(WIDTH, WIDTH)
        self.W_s = nn.Embedding(len(ALPHABET), WIDTH)
        self.encoder_layers = nn.ModuleList(EncoderLayer() for _ in range(layers))
        self.decoder_layers = nn.ModuleList(Layer(parts=4) for _ in range(layers))
        self.W_out = nn.Linear(WIDTH, len(ALPHABET))

    @property
    def decoder(self) -> list[Layer]:
        """The decoder's layers, in order."""
        return [cast(Layer, layer) for layer in self.decoder_layers]

    def encode(self, points: Float[Tensor, "n 3"]) -> Encoding:
        """Return the encoding of one structure, ``points`` in angstrom."""
        edges, index = self.features(points)
        edges = self.W_e(edges)
        nodes = torch.zeros(len(points), WIDTH, device=points.device)
        for layer in self.encoder_layers:
            nodes, edges = layer(nodes, edges, index)
        return Encoding(
            nodes=nodes,
            index=index,
            edges=tuple(_part(layer.W1, 1, edges) for layer in self.decoder),
            unseen=tuple(_part(layer.W1, 3, nodes) for layer in self.decoder),
        )

    def _log_softmax(self, nodes: Float[Tensor, "*b c"]) -> Float[Tensor, "*b a"]:
        return F.log_softmax(self.W_out(nodes), dim=-1)

    def decode(
        self, encoding: Encoding, sequences: Int[Tensor, "s n"], rank: Int[Tensor, "s n"]
    ) -> Float[Tensor, "s n a"]:
        """Return log p(residue | structure, residues of lower rank) for given sequences."""
        index, nodes = encoding.index, encoding.nodes.expand(*sequences.shape, WIDTH)
        known = (rank[:, index] < rank[..., None])[..., None]
        for number, layer in enumerate(self.decoder):
            seen = _part(layer.W1, 2, self.W_s.weight)[sequences] + _part(layer.W1, 3, nodes)
            context = torch.where(known, seen[:, index], encoding.unseen[number][index])
            own = _part(layer.W1, 0, nodes)[..., None, :]
            nodes = layer.update(nodes, own + encoding.edges[number] + context)
        return self._log_softmax(nodes)

    def unconditional(self, encoding: Encoding) -> Float[Tensor, "n a"]:
        """Return log p(residue | structure alone)."""
        empty = torch.zeros(1, len(encoding.nodes), dtype=torch.long, device=encoding.nodes.device)
        return self.decode(encoding, empty, empty)[0]

    def sample(
        self,
        encoding: Encoding,
        order: Int[Tensor, "s n"],
        temperature: float,
        generator: torch.Generator,
    ) -> Int[Tensor, "s n"]:
        """Draw sequences residue by residue in ``order``; X is never drawn.

        ``context`` holds, per layer, what a neighbour adds to a message: its encoder value
        until it is drawn, its residue type and decoder state afterwards.
        """
        rows = torch.arange(len(order), device=order.device)
        drawn = torch.zeros_like(order)
        context = [value.repeat(len(order), 1, 1) for value in encoding.unseen]
        kinds = [_part(layer.W1, 2, self.W_s.weight) for layer in self.decoder]
        for place in order.T:
            nodes, states = encoding.nodes[place], []
            near = encoding.index[place]
            for number, layer in enumerate(self.decoder):
                states.append(_part(layer.W1, 3, nodes))
                first = _part(layer.W1, 0, nodes)[:, None] + encoding.edges[number][place]
                nodes = layer.update(nodes, first + context[number][rows[:, None], near])
            chances = F.softmax(self.W_out(nodes)[:, :-1] / temperature, dim=-1)
            kind = torch.multinomial(chances, 1, generator=generator).squeeze(1)
            drawn[rows, place] = kind
            for number, state in enumerate(states):
                context[number][rows, place] = kinds[number][kind] + state
        return drawn
