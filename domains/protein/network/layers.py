"""Building blocks of the trunk (arXiv 2503.00710; names follow the checkpoints).

Padding is never masked inside: a padded residue is never attended to, so what it holds
cannot reach a real one, and the outputs are masked once at the end.
"""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from domains.protein.network.config import NetworkConfig

__all__ = ["AdaLN", "Conditioning", "Layer", "Transition", "exactly"]


def exactly(x: Tensor) -> torch.autocast:
    """Compute outside autocast, in the weights' own precision.

    Half of it would move a coordinate by .1 Å, and make a distance another feature.
    """
    return torch.autocast(x.device.type, enabled=False)


class Conditioning:
    """One conditioning vector per sample, and one (zero) for the register tokens."""

    def __init__(self, vector: Float[Tensor, "b c"], registers: int, residues: int):
        self.registers, self.residues = registers, residues
        zero = vector.new_zeros(1 if registers else 0, vector.shape[1])
        self.vectors = torch.cat([vector, zero])
        self.normed = F.layer_norm(self.vectors, self.vectors.shape[-1:])
        # Scales and shifts, or gates, of a module, where they were computed for all layers at once.
        self.known: dict[nn.Module, Tensor] = {}

    def prepare(self, blocks: Sequence["AttentionBlock | TransitionBlock"]) -> None:
        """Compute what all blocks read off the condition, in few products instead of three each.

        For accelerators, where small kernels take longer to start than to run.
        """
        norms = [block.adaln for block in blocks]
        weight, bias = (
            torch.stack([getattr(norm.norm_cond, part) for norm in norms])[:, None]
            for part in ("weight", "bias")
        )
        enters = [cast(nn.Linear, norm.to_gamma[0]) for norm in norms]
        pairs = zip(enters, norms, strict=True)
        maps = torch.cat([part for one, n in pairs for part in (one.weight, n.to_beta.weight)])
        condition = torch.addcmul(bias, self.normed, weight)
        gamma, beta = (condition @ maps.unflatten(0, (len(norms), -1)).mT).chunk(2, -1)
        shift = torch.stack([one.bias for one in enters])[:, None]
        both = torch.cat([torch.sigmoid(gamma + shift), beta], -1)
        self.known.update(zip(norms, both.unbind(), strict=True))
        gates = [block.scale_output for block in blocks]
        weight, bias = (
            torch.cat([getattr(gate.to_adaln_zero_gamma[0], part) for gate in gates])
            for part in ("weight", "bias")
        )
        opened = torch.sigmoid(F.linear(self.vectors, weight, bias))
        self.known.update(zip(gates, opened.unflatten(-1, (len(gates), -1)).unbind(1), strict=True))

    def spread(self, values: Float[Tensor, "b1 d"]) -> Float[Tensor, "b n d"]:
        """Expand per-vector values to tokens: registers first, then residues."""
        if not self.registers:
            return values[:, None]
        residues = values[:-1, None].expand(-1, self.residues, -1)
        registers = values[-1].expand(residues.shape[0], self.registers, -1)
        return torch.cat([registers, residues], 1)


class AdaLN(nn.Module):
    """Layer norm whose scale and shift are read from the condition."""

    def __init__(self, dim: int, dim_cond: int):
        super().__init__()
        self.norm_cond = nn.LayerNorm(dim_cond)
        self.to_gamma = nn.Sequential(nn.Linear(dim_cond, dim), nn.Sigmoid())
        self.to_beta = nn.Linear(dim_cond, dim, bias=False)

    def modulation(self, normed: Float[Tensor, "b c"]) -> tuple[Tensor, Tensor]:
        """Return scale and shift of a condition that is normalised but for the affine part."""
        condition = torch.addcmul(self.norm_cond.bias, normed, self.norm_cond.weight)
        return self.to_gamma(condition), self.to_beta(condition)

    def forward(self, x: Float[Tensor, "b n d"], condition: Conditioning) -> Float[Tensor, "b n d"]:
        """Return norm(x) · γ(c) + β(c)."""
        normed = F.layer_norm(x, x.shape[-1:])
        if self in condition.known:
            gamma, beta = condition.spread(condition.known[self]).chunk(2, -1)
            return torch.addcmul(beta, normed, gamma)
        gamma, beta = self.modulation(condition.normed)
        return torch.addcmul(condition.spread(beta), normed, condition.spread(gamma))


class OutputScale(nn.Module):
    """Gate a block's output by the condition (adaLN-Zero; starts at sigmoid(−2))."""

    def __init__(self, dim: int, dim_cond: int):
        super().__init__()
        self.to_adaln_zero_gamma = nn.Sequential(nn.Linear(dim_cond, dim), nn.Sigmoid())

    def forward(self, condition: Conditioning) -> Float[Tensor, "b n d"]:
        """Return the gate of each token."""
        if self in condition.known:
            return condition.spread(condition.known[self])
        return condition.spread(self.to_adaln_zero_gamma(condition.vectors))


class PairBiasAttention(nn.Module):
    """Gated multi-head attention with a bias from the pair representation."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        dim = config.token_dim
        self.heads = config.nheads
        self.node_norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * dim)
        self.to_g = nn.Linear(dim, dim)
        self.to_out_node = nn.Linear(dim, dim)
        norm = nn.LayerNorm if config.use_qkln else nn.Identity
        self.q_layer_norm, self.k_layer_norm = norm(dim), norm(dim)
        if config.use_attn_pair_bias:
            self.pair_norm = nn.LayerNorm(config.pair_repr_dim)
            self.to_bias = nn.Linear(config.pair_repr_dim, config.nheads, bias=False)

    def bias_weight(self) -> Float[Tensor, "h p"]:
        """Return the map from a standardised pair vector to this layer's bias.

        The norm's weight is folded in; its shift adds the same number to every key of a
        query and cancels in the softmax.
        """
        return self.to_bias.weight * self.pair_norm.weight

    def forward(
        self, y: Float[Tensor, "b n d"], bias: Float[Tensor, "b h n n"]
    ) -> Float[Tensor, "b n d"]:
        """Attend; ``bias`` carries the mask as very negative columns."""
        y = self.node_norm(y)
        q, k, v = self.to_qkv(y).chunk(3, -1)
        q, k = self.q_layer_norm(q), self.k_layer_norm(k)
        q, k, v = (self._split(part) for part in (q, k, v))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=_as_used(bias, q))
        attended = attended.transpose(1, 2).reshape(y.shape)
        return self.to_out_node(torch.sigmoid(self.to_g(y)) * attended)

    def _split(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b h n e"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _as_used(bias: Tensor, query: Tensor) -> Tensor:
    """Return a bias in the type that attention computes in: one copy at most."""
    if torch.is_autocast_enabled(query.device.type):
        return bias.to(torch.get_autocast_dtype(query.device.type))
    return bias.to(query.dtype)


class Transition(nn.Module):
    """SwiGLU feed-forward without norm or residual."""

    def __init__(self, dim: int, expansion: int):
        super().__init__()
        self.swish_linear = nn.Sequential(nn.Linear(dim, 2 * expansion * dim, bias=False))
        self.linear_out = nn.Linear(expansion * dim, dim, bias=False)

    def forward(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        """Return W₂ (silu(gate) · value)."""
        value, gate = self.swish_linear(x).chunk(2, -1)
        return self.linear_out(F.silu(gate) * value)


class AttentionBlock(nn.Module):
    """Conditioned attention."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.adaln = AdaLN(config.token_dim, config.dim_cond)
        self.mha = PairBiasAttention(config)
        self.scale_output = OutputScale(config.token_dim, config.dim_cond)

    def forward(self, x: Tensor, condition: Conditioning, bias: Tensor) -> Tensor:
        """Return the block's contribution to the residual stream."""
        return self.mha(self.adaln(x, condition), bias) * self.scale_output(condition)


class TransitionBlock(nn.Module):
    """Conditioned feed-forward."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.adaln = AdaLN(config.token_dim, config.dim_cond)
        self.transition = Transition(config.token_dim, 4)
        self.scale_output = OutputScale(config.token_dim, config.dim_cond)

    def forward(self, x: Tensor, condition: Conditioning) -> Tensor:
        """Return the block's contribution to the residual stream."""
        return self.transition(self.adaln(x, condition)) * self.scale_output(condition)


class Layer(nn.Module):
    """One trunk layer: attention, then feed-forward, each on the residual stream."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.mhba = AttentionBlock(config)
        self.transition = TransitionBlock(config)
        self.residual_mha = config.residual_mha
        self.residual_transition = config.residual_transition
        self.parallel = config.parallel_mha_transition

    def forward(self, x: Tensor, condition: Conditioning, bias: Tensor) -> Tensor:
        """Return the tokens after this layer."""
        attended = self.mhba(x, condition, bias)
        if self.parallel:
            moved = attended + self.transition(x, condition)
            return x + moved if self.residual_mha or self.residual_transition else moved
        x = attended + x if self.residual_mha else attended
        changed = self.transition(x, condition)
        return changed + x if self.residual_transition else changed
