"""GearNet-Cα: a network that tells CATH classes, architectures and topologies from Cα traces.

The judge behind FPSD, fS and fJSD (Geffner et al., "Proteina", ICLR 2025, section 4), after
Zhang et al., ICLR 2023. Our own code for the published weights ``gearnet_ca.pth``: parameter
names are theirs, and every width is read from the file. It sees the orientation of a chain but
not its handedness: a mirror image scores as some rotation of the original does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from domains.errors import FewstepError
from domains.files.model_files import check_weights, existing_file, named_tensors, read_pair
from domains.files.safe_archive import load_archive
from domains.protein.metrics.folds.gearnet_graph import Graph, build_graph, edge_features, sinusoid

__all__ = ["LEVELS", "Classified", "GearNet", "load_gearnet"]

LEVELS = ("C", "A", "T")
"""CATH levels of the heads: class, architecture, topology."""
_SLOPE = 0.1
_BATCH = 12
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Classified:
    """Predictions of the network for proteins.

    Args:
        features: Outputs of the last activation [b, d], which FPSD compares.
        logits: Per CATH level.
        capped: Residues with more near neighbours than the network takes.
    """

    features: Float[Tensor, "b d"]
    logits: dict[str, Float[Tensor, "b _"]]
    capped: int = 0


class _Block(nn.Module):
    """Norm, activation, linear, and whatever comes after it."""

    def __init__(self, linear: nn.Linear, *after: nn.Module):
        super().__init__()
        norm, activation = nn.BatchNorm1d(linear.in_features), nn.LeakyReLU(_SLOPE)
        # The third place was dropout: the names of the parameters are places.
        self.module = nn.Sequential(norm, activation, nn.Identity(), linear, *after)

    def forward(self, values: Float[Tensor, "n a"]) -> Float[Tensor, "n b"]:
        return self.module(values)


class _Wide(_Block):
    """Norm, activation, linear, norm, activation."""

    def __init__(self, inside: int, outside: int):
        after = nn.BatchNorm1d(outside), nn.LeakyReLU(_SLOPE)
        super().__init__(nn.Linear(inside, outside), *after)


class _Thin(_Block):
    """Norm, activation, linear without bias."""

    def __init__(self, inside: int, outside: int):
        super().__init__(nn.Linear(inside, outside, bias=False))


@dataclass(frozen=True)
class _Widths:
    """Channels of a layer: of what comes in, of messages, of their sums mixed, of what goes out."""

    inside: int
    message: int
    mixed: int
    outside: int
    edges: int
    relations: int


class _Layer(nn.Module):
    """Relational message passing: messages are summed per target and kind of edge.

    Args:
        widths: Channels.
        carried: Whether what goes by the messages passes a block of its own.
    """

    def __init__(self, widths: _Widths, carried: bool):
        super().__init__()
        self.relations = widths.relations
        self.input = _Wide(widths.inside, widths.message)
        self.edge_input = _Wide(widths.edges, widths.message)
        self.linear = _Thin(widths.relations * widths.message, widths.mixed)
        self.output = _Thin(widths.mixed, widths.outside)
        if carried:
            self.identity = _Thin(widths.inside, widths.outside)

    def forward(
        self, nodes: Float[Tensor, "n a"], edges: Float[Tensor, "e w"], graph: Graph
    ) -> Float[Tensor, "n b"]:
        messages = self.input(nodes)[graph.source] + self.edge_input(edges)
        slot = graph.target * self.relations + graph.relation
        # Empty slots too: the next norm makes constants of their zeros.
        sums = messages.new_zeros(len(nodes) * self.relations, messages.shape[1])
        sums = sums.index_add(0, slot, messages).reshape(len(nodes), -1)
        skipped = self.identity(nodes) if hasattr(self, "identity") else nodes
        return self.output(self.linear(sums)) + skipped


class GearNet(nn.Module):
    """The classifier; ``load_gearnet`` makes one from a file.

    Args:
        weights: Named tensors, from whose shapes the architecture is read.
        radius: Residues nearer than this are neighbours, Å.

    Raises:
        FewstepError: The weights are another network's.
    """

    def __init__(self, weights: Mapping[str, Tensor], radius: float = 10.0):
        super().__init__()
        self.radius = radius
        try:
            self._build(weights)
            # Some files leave out the norms' counters, on which no output depends.
            counters = {k: v for k, v in self.state_dict().items() if k.endswith(_COUNTER)}
            self.load_state_dict({**counters, **weights}, strict=True)
        except (KeyError, ValueError, RuntimeError, IndexError, ZeroDivisionError) as error:
            raise FewstepError(
                "weights are not those of a GearNet-Cα",
                got=str(error).replace("\n", " ")[:200],
                do="Use gearnet_ca.pth of Proteina",
            ) from error
        self.eval().requires_grad_(False)

    def _build(self, weights: Mapping[str, Tensor]) -> None:
        def shape(name: str) -> torch.Size:
            return weights[f"{name}.weight"].shape

        atoms, width = shape("atom_embedding")
        self.atom_embedding = nn.Embedding(atoms, width)
        if atoms != 1:
            raise KeyError("an embedding of several atoms: the backbone model")
        count = 1 + max(int(n.split(".")[1]) for n in weights if n.startswith("layers."))
        self.layers, widths = nn.ModuleList(), []
        for number in range(count):
            name = f"layers.{number}"
            carried = f"{name}.identity.module.3.weight" in weights
            widths.append(_widths(name, shape))
            if not carried and widths[-1].inside != widths[-1].outside:
                raise KeyError(f"{name}.identity is not there, and the widths differ")
            self.layers.append(_Layer(widths[-1], carried))
        self.relations, self.edge_width = widths[0].relations, widths[0].edges
        if len({(one.relations, one.edges) for one in widths}) > 1:
            raise KeyError("layers of different edges")
        outside, inside = shape("mlp.module.3")
        self.mlp = _Wide(inside, outside)
        arriving = [2 * width, *(one.outside for one in widths)]
        if arriving != [*(one.inside for one in widths), inside]:
            raise KeyError("layers that do not follow one another")
        for level in LEVELS:
            classes, inside = shape(f"pred_head_{level}")
            self.add_module(f"pred_head_{level}", nn.Linear(inside, classes))

    def inputs(self, graph: Graph) -> tuple[Float[Tensor, "n c"], Float[Tensor, "e w"]]:
        """Return node and edge features in float32."""
        same = self.atom_embedding.weight.float().expand(len(graph.points), -1)
        nodes = torch.cat((same, sinusoid(graph.positions, same.shape[1])), dim=-1)
        return nodes, edge_features(graph, self.edge_width)

    def forward(self, graph: Graph) -> Classified:
        """Classify the proteins of a graph."""
        dtype = self.atom_embedding.weight.dtype
        nodes, edges = (value.to(dtype) for value in self.inputs(graph))
        for layer in self.layers:
            nodes = layer(nodes, edges, graph)
        pooled = nodes.new_zeros(graph.proteins, nodes.shape[1]).index_add(0, graph.owner, nodes)
        features = self.mlp(pooled)
        heads = {level: cast(nn.Module, getattr(self, f"pred_head_{level}")) for level in LEVELS}
        return Classified(features, {k: head(features) for k, head in heads.items()}, graph.capped)

    def classify(self, chains: Sequence[Float[np.ndarray, "_ 3"]]) -> Classified:
        """Classify chains of coordinates in nanometre.

        They are rounded to the 0.001 Å of a PDB file, so that a sample scores the same in
        memory and after writing and reading.
        """
        device = self.atom_embedding.weight.device
        found = []
        for first in range(0, len(chains), _BATCH):
            some = [np.round(10 * np.asarray(c, np.float64), 3) for c in chains[first:][:_BATCH]]
            points = [torch.from_numpy(c.astype(np.float32)).to(device) for c in some]
            graph = build_graph(points, relations=self.relations, radius=self.radius)
            with torch.inference_mode():
                found.append(self(graph))
        if not found:
            raise FewstepError("no protein to classify")
        return Classified(
            torch.cat([one.features for one in found]),
            {level: torch.cat([one.logits[level] for one in found]) for level in LEVELS},
            sum(one.capped for one in found),
        )


def _widths(name: str, shape: Callable[[str], torch.Size]) -> _Widths:
    """Read the widths of a layer off the shapes of its weights."""
    message, inside = shape(f"{name}.input.module.3")
    mixed, summed = shape(f"{name}.linear.module.3")
    relations, rest = divmod(summed, message)
    if rest:
        raise KeyError(f"{name}.linear of {relations} relations and {rest} channels")
    outside, edges = shape(f"{name}.output.module.3")[0], shape(f"{name}.edge_input.module.3")[1]
    return _Widths(inside, message, mixed, outside, edges, relations)


def load_gearnet(path: Path, radius: float = 10.0) -> GearNet:
    """Return the classifier in a file, ready to use; nothing in the file is executed.

    Args:
        path: ``gearnet_ca.pth`` (a state dict by torch.save) or a safetensors file.
        radius: Residues nearer than this are neighbours, Å; no file says it.

    Raises:
        FewstepError: The file is missing, damaged, dangerous or another network's.
    """
    path = existing_file(Path(path))
    if path.suffix == ".safetensors":
        weights, _ = read_pair(path, path.with_suffix(".json"), required=False)
    else:
        state = load_archive(path)
        if not isinstance(state, dict):
            raise FewstepError(f"{path} is no state dict", got=type(state).__name__)
        weights = dict(named_tensors(path, state))
    check_weights(path, weights)
    return GearNet(weights, radius)
