"""Architecture of a Proteina network, as its checkpoint's ``model.nn`` states it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domains.errors import FewstepError

__all__ = ["NetworkConfig"]

SequenceFeature = Literal[
    "res_seq_pdb_idx",
    "chain_break_per_res",
    "x_sc",
    "motif_sequence_mask",
    "motif_x1",
    "xt_local_shape",
    "x_sc_local_shape",
]
ConditionFeature = Literal["time_emb", "fold_emb"]
PairFeature = Literal[
    "rel_seq_sep",
    "x_sc_pair_dists",
    "xt_pair_dists",
    "motif_structure_mask",
    "motif_x1_pair_dists",
    "xt_pair_directions",
    "x_sc_pair_directions",
]

# Far beyond any in use: a checkpoint that claims more would take all memory or time.
Width = Annotated[int, Field(ge=1, le=1 << 16)]
Depth = Annotated[int, Field(ge=1, le=1000)]
Distance = Annotated[float, Field(ge=0, le=1000)]


class NetworkConfig(BaseModel):
    """Widths, depths and features; the key names are those of the public checkpoints.

    Keys that do not shape the network (file paths, the name) are dropped. Lengths in nm.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    token_dim: Width
    nlayers: Depth
    nheads: Width
    pair_repr_dim: Width
    dim_cond: Width
    t_emb_dim: Width
    idx_emb_dim: Width = 128
    fold_emb_dim: Width = 256
    feats_init_seq: tuple[SequenceFeature, ...]
    feats_cond_seq: tuple[ConditionFeature, ...]
    feats_pair_repr: tuple[PairFeature, ...]
    feats_pair_cond: tuple[Literal["time_emb"], ...] = ()
    seq_sep_dim: Width = 127
    xt_pair_dist_dim: Width = 64
    xt_pair_dist_min: Distance = 0.1
    xt_pair_dist_max: Distance = 3.0
    x_sc_pair_dist_dim: Width = 128
    x_sc_pair_dist_min: Distance = 0.1
    x_sc_pair_dist_max: Distance = 3.0
    x_motif_pair_dist_dim: Width = 128
    x_motif_pair_dist_min: Distance = 0.1
    x_motif_pair_dist_max: Distance = 3.0
    num_registers: Annotated[int, Field(ge=0, le=10_000)] | None = None
    use_attn_pair_bias: bool = True
    use_qkln: bool = False
    update_pair_repr: bool = False
    update_pair_repr_every_n: Depth = 2
    use_tri_mult: bool = False
    num_buckets_predict_pair: Width | None = None
    residual_mha: bool = True
    residual_transition: bool = True
    parallel_mha_transition: bool = False
    multilabel_mode: Literal["sample", "average", "transformer"] = "sample"

    @model_validator(mode="after")
    def _consistent(self) -> "NetworkConfig":
        if self.token_dim % self.nheads:
            raise ValueError(f"token_dim {self.token_dim} is not a multiple of nheads")
        if self.seq_sep_dim % 2 == 0:
            raise ValueError(f"seq_sep_dim must be odd, got {self.seq_sep_dim}")
        for name in ("xt", "x_sc", "x_motif"):
            low, high = (getattr(self, f"{name}_pair_dist_{end}") for end in ("min", "max"))
            if low >= high:
                raise ValueError(f"{name}_pair_dist_min {low} must be below {high}")
        return self

    @classmethod
    def parse(cls, content: Any, source: str) -> "NetworkConfig":
        """Validate a checkpoint's ``model.nn`` mapping.

        Args:
            content: The mapping as read.
            source: The file's name, for the message.

        Raises:
            FewstepError: A key is missing, or has a value this network does not know.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise FewstepError(
                f"{source} describes no Proteina network: {'.'.join(map(str, first['loc']))}",
                expected=first["msg"],
                got=first.get("input"),
                do="Give the checkpoint's own configuration (cfg_exp.model.nn)",
            ) from error

    @property
    def registers(self) -> int:
        """Number of learned register tokens before the residues."""
        return self.num_registers or 0

    def pair_update_layers(self) -> tuple[int, ...]:
        """Layers after which the pair representation is updated."""
        if not (self.update_pair_repr and self.use_attn_pair_bias):
            return ()
        return tuple(range(0, self.nlayers - 1, self.update_pair_repr_every_n))
