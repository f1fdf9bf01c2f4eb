"""Sequence, condition and pair features: what enters the trunk.

The reference multiplies one-hot vectors of width 319 by a matrix for all n² pairs. Here the
rows of that matrix are looked up and added: same numbers, a tenth of the work.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from domains.device import constant
from domains.protein.network.config import NetworkConfig
from domains.protein.network.embeddings import (
    distance_bins,
    index_embedding,
    separation_bins,
    time_embedding,
)
from domains.protein.network.local_geometry import (
    DIRECTION_BINS,
    LOCAL_SHAPE,
    direction_bins,
    local_shape,
)
from domains.protein.network.look_up import look_up
from domains.protein.network.table import learnt_rows

__all__ = ["ConditionFactory", "FoldEmbedding", "Inputs", "PairFactory", "SequenceFactory"]


@dataclass(frozen=True)
class Inputs:
    """Inputs of the network; coordinates in nm, everything but the first three optional.

    Attributes:
        x_t: Noisy coordinates.
        t: Times in [0, 1].
        mask: Real residues.
        x_sc: Clean estimate of the previous step (self-conditioning).
        labels: Fold-class indices (C, A, T) of up to k labels; the null class when None.
        label_mask: Which of the k labels exist.
        residue_index: Residue numbers; 1…n when None.
        chain_breaks: True where the next residue is not bonded.
        motif_mask, x_motif, motif_pairs: Motif residues, coordinates and fixed pairs.
    """

    x_t: Float[Tensor, "b n 3"]
    t: Float[Tensor, " b"]
    mask: Bool[Tensor, "b n"]
    x_sc: Float[Tensor, "b n 3"] | None = None
    labels: Int[Tensor, "b k 3"] | None = None
    label_mask: Bool[Tensor, "b k"] | None = None
    residue_index: Int[Tensor, "b n"] | None = None
    chain_breaks: Bool[Tensor, "b n"] | None = None
    motif_mask: Bool[Tensor, "b n"] | None = None
    x_motif: Float[Tensor, "b n 3"] | None = None
    motif_pairs: Bool[Tensor, "b n n"] | None = None

    @property
    def index(self) -> Int[Tensor, "b n"]:
        """Residue numbers, 1…n unless given."""
        if self.residue_index is not None:
            return self.residue_index
        b, n = self.mask.shape
        return torch.arange(1, n + 1, device=self.mask.device).expand(b, n)


def _sequence_width(name: str, config: NetworkConfig) -> int:
    return {
        "res_seq_pdb_idx": config.idx_emb_dim,
        "chain_break_per_res": 1,
        "x_sc": 3,
        "motif_sequence_mask": 1,
        "motif_x1": 3,
        "xt_local_shape": LOCAL_SHAPE,
        "x_sc_local_shape": LOCAL_SHAPE,
    }[name]


class SequenceFactory(nn.Module):
    """Per-residue features, concatenated in the checkpoint's order and projected."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.names = config.feats_init_seq
        self.index_dim = config.idx_emb_dim
        width = sum(_sequence_width(name, config) for name in self.names)
        self.linear_out = nn.Linear(width, config.token_dim, bias=False)

    def forward(self, inputs: Inputs) -> Float[Tensor, "b n d"]:
        """Return the initial token features; padding is not masked."""
        dtype = self.linear_out.weight.dtype
        features = [self._feature(name, inputs).to(dtype) for name in self.names]
        return self.linear_out(torch.cat(features, -1) * inputs.mask[..., None])

    def _feature(self, name: str, inputs: Inputs) -> Tensor:
        b, n = inputs.mask.shape
        if name == "res_seq_pdb_idx":
            index = inputs.index - inputs.index[:, :1] + 1
            index = index.masked_fill(~inputs.mask, -1)
            exact = torch.promote_types(inputs.x_t.dtype, torch.float32)
            return index_embedding(index.to(exact), self.index_dim)
        if name in ("xt_local_shape", "x_sc_local_shape"):
            x = inputs.x_t if name == "xt_local_shape" else inputs.x_sc
            if x is None:
                return inputs.x_t.new_zeros(b, n, LOCAL_SHAPE)
            return local_shape(x, inputs.mask)
        given = {
            "chain_break_per_res": inputs.chain_breaks,
            "motif_sequence_mask": inputs.motif_mask,
            "x_sc": inputs.x_sc,
            "motif_x1": inputs.x_motif,
        }[name]
        width = 3 if name in ("x_sc", "motif_x1") else 1
        if given is None:
            return inputs.x_t.new_zeros(b, n, width)
        return given.view(b, n, width)


class FoldEmbedding(nn.Module):
    """Embeddings of CATH class, architecture and topology; the last row is the null class."""

    def __init__(self, config: NetworkConfig, classes: tuple[int, int, int]):
        super().__init__()
        dim = config.fold_emb_dim
        self.mode = config.multilabel_mode
        self.embedding_C = _embedding(classes[0] + 1, dim)
        self.embedding_A = _embedding(classes[1] + 1, dim)
        self.embedding_T = _embedding(classes[2] + 1, dim)
        if self.mode == "transformer":
            layer = nn.TransformerEncoderLayer(3 * dim, 4, 3 * dim, batch_first=True)
            self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    @property
    def tables(self) -> tuple[nn.Embedding, nn.Embedding, nn.Embedding]:
        """The three tables in the order C, A, T."""
        return self.embedding_C, self.embedding_A, self.embedding_T

    def forward(self, inputs: Inputs) -> Float[Tensor, "b f"]:
        """Return one vector per sample: its label, or the mean over its labels."""
        b = inputs.t.shape[0]
        labels, present = inputs.labels, inputs.label_mask
        if labels is None:
            null = tuple(table.num_embeddings - 1 for table in self.tables)
            labels = constant(null, inputs.t.device, torch.int64).expand(b, 1, 3)
        if present is None:
            present = torch.ones(labels.shape[:2], dtype=torch.bool, device=labels.device)
        parts = [table(labels[..., level]) for level, table in enumerate(self.tables)]
        embedded = torch.cat(parts, -1)
        weight = present[..., None].to(embedded.dtype)
        if self.mode == "transformer":
            embedded = self.transformer(embedded, src_key_padding_mask=~present)
            return (embedded * weight).sum(1) / (weight.sum(1) + 1e-10)
        return (embedded * weight).sum(1) / weight.sum(1)


def _embedding(classes: int, width: int) -> nn.Embedding:
    return nn.Embedding.from_pretrained(learnt_rows(classes, width), freeze=False)


class ConditionFactory(nn.Module):
    """The conditioning vector of a sample: time and fold class."""

    def __init__(self, config: NetworkConfig, classes: tuple[int, int, int]):
        super().__init__()
        self.names = config.feats_cond_seq
        self.time_dim = config.t_emb_dim
        creators: list[nn.Module] = []
        width = 0
        for name in self.names:
            fold = name == "fold_emb"
            creators.append(FoldEmbedding(config, classes) if fold else nn.Identity())
            width += 3 * config.fold_emb_dim if fold else config.t_emb_dim
        self.feat_creators = nn.ModuleList(creators)
        self.linear_out = nn.Linear(width, config.dim_cond, bias=False)

    def forward(self, inputs: Inputs) -> Float[Tensor, "b c"]:
        """Return one vector per sample."""
        dtype = self.linear_out.weight.dtype
        features = [
            (creator(inputs) if name == "fold_emb" else time_embedding(inputs.t, self.time_dim))
            for name, creator in zip(self.names, self.feat_creators, strict=True)
        ]
        return self.linear_out(torch.cat([feature.to(dtype) for feature in features], -1))


class PairFactory(nn.Module):
    """Embeds integer pair codes; ``linear_out`` keeps the checkpoint's one-hot layout."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        self.names = config.feats_pair_repr
        self.widths = [self._width(name) for name in self.names]
        self.linear_out = nn.Linear(sum(self.widths), config.pair_repr_dim, bias=False)
        self.ln_out = nn.LayerNorm(config.pair_repr_dim)

    def _width(self, name: str) -> int:
        config = self.config
        return {
            "rel_seq_sep": config.seq_sep_dim,
            "xt_pair_dists": config.xt_pair_dist_dim,
            "x_sc_pair_dists": config.x_sc_pair_dist_dim,
            "motif_structure_mask": 1,
            "motif_x1_pair_dists": config.x_motif_pair_dist_dim,
            "xt_pair_directions": DIRECTION_BINS,
            "x_sc_pair_directions": DIRECTION_BINS,
        }[name]

    def _columns(self, name: str, inputs: Inputs) -> Int[Tensor, "b n n"] | None:
        """Return the hot column of a feature, ``width`` where it has none, None if absent."""
        c, width = self.config, self._width(name)
        if name == "rel_seq_sep":
            return separation_bins(inputs.index, width)
        if name == "xt_pair_dists":
            return distance_bins(inputs.x_t, c.xt_pair_dist_min, c.xt_pair_dist_max, width)
        if name == "x_sc_pair_dists":
            if inputs.x_sc is None:
                return None
            return distance_bins(inputs.x_sc, c.x_sc_pair_dist_min, c.x_sc_pair_dist_max, width)
        if name == "xt_pair_directions":
            return direction_bins(inputs.x_t, inputs.mask)
        if name == "x_sc_pair_directions":
            return None if inputs.x_sc is None else direction_bins(inputs.x_sc, inputs.mask)
        if inputs.motif_pairs is None:
            return None
        if name == "motif_structure_mask":
            return torch.where(inputs.motif_pairs, 0, 1)
        if inputs.x_motif is None:
            return None
        low, high = c.x_motif_pair_dist_min, c.x_motif_pair_dist_max
        return distance_bins(inputs.x_motif, low, high, width).masked_fill(
            ~inputs.motif_pairs, width
        )

    def columns(self, inputs: Inputs) -> Int[Tensor, "b n n f"]:
        """Return the rows of ``table`` that each pair's f present features add up.

        Raises:
            ValueError: There is no feature.
        """
        found: list[Tensor] = []
        start = 0
        for name, width in zip(self.names, self.widths, strict=True):
            column = self._columns(name, inputs)
            if column is not None:
                found.append(start + column)
            start += width + 1
        if not found:
            raise ValueError("a pair representation without any feature")
        return torch.stack(torch.broadcast_tensors(*found), -1)

    @property
    def directed(self) -> bool:
        """Whether directions are among the features, so that hardly two pairs are alike."""
        return any(name.endswith("_directions") for name in self.names)

    def table(self) -> Float[Tensor, "t p"]:
        """Return each feature's rows, and after them one (zero) for pairs that have none of it."""
        parts = self.linear_out.weight.split(self.widths, dim=1)
        return torch.cat([nn.functional.pad(part, (0, 1)) for part in parts], 1).t()

    def embed(
        self,
        columns: Int[Tensor, "*pairs f"],
        table: Float[Tensor, "t p"],
        product: torch.dtype | None = None,
    ) -> Float[Tensor, "*pairs p"]:
        """Embed pairs given by their rows of ``table``: a sum of look-ups, then the layer norm."""
        total = look_up(columns.flatten(0, -2), table, product)
        return self.ln_out(total.unflatten(0, columns.shape[:-1]))
