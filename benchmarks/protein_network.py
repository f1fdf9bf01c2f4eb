"""Time and memory of the Proteina network, beside a plain implementation of the same formulas.

The plain one computes what the architecture says, one step after the other: one-hot pair
features times a matrix, time conditioning of all n² pairs and of all n tokens, a layer norm
and a projection of the pair representation in every layer, unfused triangles. Both have the
same (random) weights, and their outputs are compared. Every case runs in its own process,
whose peak memory is its own.

    OMP_NUM_THREADS=1 python benchmarks/protein_network.py --sizes 60M --lengths 100,200
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from domains.protein.network import NetworkConfig, Proteina
from domains.protein.network.embeddings import time_embedding
from domains.protein.network.features import Inputs

# token_dim, layers, heads, pair_repr_dim, layers between pair updates.
SIZES = {
    "60M": (512, 10, 8, 256, 2),
    "200M": (768, 15, 12, 512, 3),
    "400M": (1024, 18, 16, 512, 5),
}
# CPU-seconds of the reference at n = 200, batch 1, one thread, measured on another machine.
PUBLISHED = {"60M": 1.60, "200M": 4.02}
AGREEMENT = 1e-4
REPEATS = 3


def network(size: str, triangles: bool) -> Proteina:
    token, layers, heads, pair, every = SIZES[size]
    config = NetworkConfig(
        token_dim=token,
        nlayers=layers,
        nheads=heads,
        pair_repr_dim=pair,
        update_pair_repr=triangles,
        use_tri_mult=triangles,
        update_pair_repr_every_n=every,
        feats_init_seq=("res_seq_pdb_idx", "chain_break_per_res", "x_sc"),
        feats_cond_seq=("time_emb", "fold_emb"),
        feats_pair_repr=("rel_seq_sep", "x_sc_pair_dists", "xt_pair_dists"),
        feats_pair_cond=("time_emb",),
        t_emb_dim=256,
        dim_cond=512,
        num_registers=10,
        use_qkln=True,
        x_sc_pair_dist_dim=128,
    )
    torch.manual_seed(0)
    built = Proteina(config).eval().requires_grad_(False)
    for name, weight in built.named_parameters():
        spread = weight.shape[-1] ** -0.5 if weight.dim() > 1 else 0.1
        nn.init.normal_(weight, 1.0 if "norm" in name and "weight" in name else 0.0, spread)
    return built


def inputs(length: int, batch: int, conditioned: bool) -> Inputs:
    """Noisy chains: random walks with a bond length of 0.38 nm, at t = 0.5."""
    source = torch.Generator().manual_seed(1)
    steps = torch.randn(batch, length, 3, generator=source)
    walk = torch.cumsum(0.38 * F.normalize(steps, dim=-1), 1)
    walk = walk - walk.mean(1, keepdim=True)
    noisy = 0.5 * walk + 0.5 * torch.randn(walk.shape, generator=source)
    mask = torch.ones(batch, length, dtype=torch.bool)
    return Inputs(noisy, torch.full((batch,), 0.5), mask, x_sc=walk if conditioned else None)


def plain(net: Proteina, given: Inputs) -> Tensor:
    """The forward pass, step by step, without padding (all residues are real)."""
    registers, n = net.config.registers, given.mask.shape[1]
    vector = net.cond_factory(given)[:, None].expand(-1, n, -1).contiguous()
    condition = net.transition_c_2(net.transition_c_1(vector))
    tokens = net.linear_3d_embed(given.x_t) + net.init_repr_factory(given)
    tokens = torch.cat([net.registers.expand(tokens.shape[0], -1, -1), tokens], 1)
    pair = F.pad(plain_pairs(net, given), (0, 0, registers, 0, registers, 0))
    condition = F.pad(condition, (0, 0, registers, 0))
    updates = net.config.pair_update_layers()
    for index, layer in enumerate(net.transformer_layers):
        block = layer.mhba
        attended = plain_attention(block.mha, plain_adaln(block.adaln, tokens, condition), pair)
        tokens = tokens + attended * block.scale_output.to_adaln_zero_gamma(condition)
        block = layer.transition
        changed = block.transition(plain_adaln(block.adaln, tokens, condition))
        tokens = tokens + changed * block.scale_output.to_adaln_zero_gamma(condition)
        if index in updates:
            pair = plain_update(net.pair_update_layers[index], tokens, pair)
    return net.coors_3d_decoder(tokens[:, registers:])


def plain_pairs(net: Proteina, given: Inputs) -> Tensor:
    builder = net.pair_repr_builder
    factory, (b, n) = builder.init_repr_factory, given.mask.shape
    features = []
    for name, width in zip(factory.names, factory.widths, strict=True):
        column = factory._columns(name, given)
        hot = torch.zeros(b, n, n, width) if column is None else F.one_hot(column, width)
        features.append(hot.float())
    mask = (given.mask[:, :, None] & given.mask[:, None])[..., None].float()
    pair = factory.ln_out(factory.linear_out(torch.cat(features, -1) * mask)) * mask
    embedded = time_embedding(given.t, builder.cond_factory.dim)[:, None, None]
    embedded = embedded.expand(-1, n, n, -1) * mask
    condition = builder.cond_factory.ln_out(builder.cond_factory.linear_out(embedded)) * mask
    return plain_adaln(builder.adaln, pair, condition) * mask


def plain_adaln(adaln: nn.Module, x: Tensor, condition: Tensor) -> Tensor:
    normed = adaln.norm_cond(condition)
    return F.layer_norm(x, x.shape[-1:]) * adaln.to_gamma(normed) + adaln.to_beta(normed)


def plain_attention(mha: nn.Module, y: Tensor, pair: Tensor) -> Tensor:
    y = mha.node_norm(y)
    q, k, v = mha.to_qkv(y).chunk(3, -1)
    q, k = mha.q_layer_norm(q), mha.k_layer_norm(k)
    q, k, v = (part.unflatten(-1, (mha.heads, -1)).transpose(1, 2) for part in (q, k, v))
    bias = mha.to_bias(mha.pair_norm(pair)).permute(0, 3, 1, 2)
    weights = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias, -1)
    attended = (weights @ v).transpose(1, 2).reshape(y.shape)
    return mha.to_out_node(torch.sigmoid(mha.to_g(y)) * attended)


def plain_triangle(triangle: nn.Module, z: Tensor) -> Tensor:
    normed = triangle.layer_norm_in(z)
    a = triangle.linear_a_p(normed) * torch.sigmoid(triangle.linear_a_g(normed))
    b = triangle.linear_b_p(normed) * torch.sigmoid(triangle.linear_b_g(normed))
    a, b = a.permute(0, 3, 1, 2), b.permute(0, 3, 1, 2)
    x = a @ b.transpose(-1, -2) if triangle.outgoing else a.transpose(-1, -2) @ b
    x = triangle.linear_z(triangle.layer_norm_out(x.permute(0, 2, 3, 1)))
    return x * torch.sigmoid(triangle.linear_g(normed))


def plain_update(update: nn.Module, tokens: Tensor, z: Tensor) -> Tensor:
    column, row = update.linear_x(update.layer_norm_in(tokens)).chunk(2, -1)
    z = z + column[:, None] + row[:, :, None]
    z = z + plain_triangle(update.tri_mult_out, z)
    z = z + plain_triangle(update.tri_mult_in, z)
    step = update.transition_out
    return z + step.linear_2(F.relu(step.linear_1(step.layer_norm(z))))


def measure(case: dict) -> dict:
    """Run one case in this process; CPU-seconds (median) and peak resident memory in GB."""
    torch.set_num_threads(1)
    net = network(case["size"], case["triangles"]).to(getattr(torch, case["dtype"]))
    given = inputs(case["length"], case["batch"], case["conditioned"])

    def ours() -> Tensor:
        return net(given).coors_pred

    def slow() -> Tensor:
        return plain(net, given)

    run = slow if case["plain"] else ours
    with torch.inference_mode():
        result = run()
        seconds = []
        for _ in range(case["repeats"]):
            start = time.process_time()
            run()
            seconds.append(time.process_time() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        error = float((ours() - result).abs().max() / result.abs().max())
    return {"seconds": statistics.median(seconds), "memory": peak, "error": error}


@cache
def in_own_process(case: str) -> dict:
    command = [sys.executable, __file__, "--case", case]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def row(case: dict, with_plain: bool) -> str:
    ours = in_own_process(json.dumps({**case, "plain": False}))
    cells = [case["size"], case["length"], case["batch"], case["dtype"]]
    cells += [f"{ours['seconds']:.3f}", f"{ours['memory']:.2f}"]
    if with_plain:
        # The plain version is always in float32: that is what the results must agree with.
        slow = in_own_process(json.dumps({**case, "dtype": "float32", "plain": True}))
        close = "" if slow["error"] < AGREEMENT else " TOO FAR"
        cells += [f"{slow['seconds']:.3f}", f"{slow['memory']:.2f}"]
        cells += [f"{slow['seconds'] / ours['seconds']:.2f}", f"{slow['error']:.0e}{close}"]
    else:
        cells += ["–"] * 4
    at_published = (case["length"], case["batch"], case["triangles"]) == (200, 1, False)
    known = PUBLISHED.get(case["size"]) if at_published else None
    cells += [f"{known / ours['seconds']:.1f}" if known else "–"]
    return "| " + " | ".join(map(str, cells)) + " |"


HEADER = (
    "| network | residues | batch | weights | CPU-s | peak GB | plain CPU-s | plain GB |"
    " × faster than plain | largest difference (float32) | × faster than published |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--sizes", default="60M,200M")
    parser.add_argument("--lengths", default="50,100,200,400")
    parser.add_argument("--batches", default="1,4")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--triangles", action="store_true", help="with triangle layers")
    parser.add_argument("--conditioned", action="store_true", help="with self-conditioning")
    parser.add_argument("--no-plain", action="store_true", help="skip the plain version")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case)))
        return
    print(HEADER)
    print("|" + "---|" * (HEADER.count("|") - 1))
    for size in options.sizes.split(","):
        for length in map(int, options.lengths.split(",")):
            for batch in map(int, options.batches.split(",")):
                for dtype in options.dtypes.split(","):
                    case = {"size": size, "length": length, "batch": batch, "dtype": dtype}
                    case |= {"triangles": options.triangles, "repeats": options.repeats}
                    case["conditioned"] = options.conditioned
                    print(row(case, not options.no_plain), flush=True)


if __name__ == "__main__":
    main()
