"""Networks and inputs without golden values, for invariances and identities."""

import torch

from domains.protein.network import NetworkConfig, Proteina
from domains.protein.network.features import Inputs


def published(name: str) -> dict[str, object]:
    """Configuration of a published model, after the paper's table."""
    widths = {"60M": (512, 10, 8, 256, 2), "200M": (768, 15, 12, 512, 3)}
    widths["400M"] = (1024, 18, 16, 512, 5)
    [size] = [size for size in widths if size in name]
    token, layers, heads, pair, every = widths[size]
    features = ["res_seq_pdb_idx", "chain_break_per_res", "x_sc"]
    if size != "60M":
        features = ["res_seq_pdb_idx", "x_sc", "chain_break_per_res"]
    triangles = not any(word in name for word in ("no_tri", "notri"))
    return {
        "token_dim": token,
        "nlayers": layers,
        "nheads": heads,
        "pair_repr_dim": pair,
        "update_pair_repr": triangles,
        "update_pair_repr_every_n": every,
        "use_tri_mult": triangles,
        "feats_init_seq": features,
        "feats_cond_seq": ["time_emb", "fold_emb"],
        "feats_pair_repr": ["rel_seq_sep", "x_sc_pair_dists", "xt_pair_dists"],
        "feats_pair_cond": ["time_emb"],
        "t_emb_dim": 256,
        "dim_cond": 512,
        "num_registers": 10,
        "use_qkln": True,
        "num_buckets_predict_pair": 64,
    }


def small(**changes: object) -> Proteina:
    """A random network without golden values."""
    content = published("60M_notri") | {
        "token_dim": 32,
        "nlayers": 3,
        "nheads": 4,
        "pair_repr_dim": 16,
        "dim_cond": 24,
        "t_emb_dim": 16,
        "idx_emb_dim": 8,
        "fold_emb_dim": 8,
        "num_registers": 2,
    }
    torch.manual_seed(0)
    network = Proteina(NetworkConfig.parse(content | changes, "test"), (3, 4, 5)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def chain(sizes: tuple[int, ...] = (9, 6), seed: int = 1) -> Inputs:
    source = torch.Generator().manual_seed(seed)
    shape = (len(sizes), max(sizes), 3)
    mask = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    x_t = torch.randn(shape, generator=source)
    x_sc = x_t + 0.1 * torch.randn(shape, generator=source)
    return Inputs(x_t, torch.rand(len(sizes), generator=source), mask, x_sc=x_sc)


ARCHITECTURES = [
    {},
    {"update_pair_repr": True, "update_pair_repr_every_n": 1},
    {"update_pair_repr": True, "update_pair_repr_every_n": 1, "use_tri_mult": True},
    {"use_attn_pair_bias": False},
    {"num_registers": 0, "use_qkln": False},
]
