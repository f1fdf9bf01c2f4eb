"""The Proteina Cα network (arXiv 2503.00710), compatible with its checkpoints."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from domains.device import waits
from domains.distillation.recompute import run_layer
from domains.errors import FewstepError
from domains.protein.network.config import NetworkConfig
from domains.protein.network.features import (
    ConditionFactory,
    FoldEmbedding,
    Inputs,
    SequenceFactory,
)
from domains.protein.network.layers import (
    Conditioning,
    Layer,
    PairBiasAttention,
    Transition,
    exactly,
)
from domains.protein.network.pair import (
    PairBuilder,
    PairUpdate,
    bias_of_pairs,
    mask_bias,
)
from domains.protein.network.table import learnt_rows

__all__ = ["Proteina"]

# C, A, T classes of a network that has never seen labels: the null class only.
_NO_CLASSES = (0, 0, 0)
_TRUNK = "transformer_layers."


@dataclass(frozen=True)
class Prediction:
    """Network output: ``coors_pred`` in nm (velocity or clean), distogram logits if asked.

    ``logits`` is the component of the last features that the coordinates do not depend on,
    because their LayerNorm takes it off: a place for a discriminator.
    """

    coors_pred: Float[Tensor, "b n 3"]
    pair_logits: Float[Tensor, "b n n k"] | None
    logits: Float[Tensor, "b n"]


class Proteina(nn.Module):
    """Transformer over residues with pair-biased attention.

    Args:
        config: Architecture.
        classes: Number of CATH classes, architectures and topologies it was trained with.

    Attributes:
        recompute: Keep little memory for gradients (see ``run_layer``).
    """

    def __init__(self, config: NetworkConfig, classes: tuple[int, int, int] = _NO_CLASSES):
        super().__init__()
        self.config, self.recompute = config, False
        dim = config.token_dim
        self.linear_3d_embed = nn.Linear(3, dim, bias=False)
        self.init_repr_factory = SequenceFactory(config)
        self.cond_factory = ConditionFactory(config, classes)
        self.transition_c_1 = Transition(config.dim_cond, 2)
        self.transition_c_2 = Transition(config.dim_cond, 2)
        if config.registers:
            self.registers = learnt_rows(config.registers, dim, over=20)
        if config.use_attn_pair_bias:
            self.pair_repr_builder = PairBuilder(config)
        self.transformer_layers = nn.ModuleList(Layer(config) for _ in range(config.nlayers))
        updates = config.pair_update_layers()
        if updates:
            self.pair_update_layers = nn.ModuleList(
                PairUpdate(config) if layer in updates else None  # type: ignore[arg-type]
                for layer in range(config.nlayers - 1)
            )
        self.coors_3d_decoder = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 3, bias=False))
        buckets = config.num_buckets_predict_pair
        if updates and buckets:
            width = config.pair_repr_dim
            self.pair_head_prediction = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, buckets)
            )

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights, and of the computation outside autocast."""
        return self.linear_3d_embed.weight.dtype

    @property
    def fold_classes(self) -> tuple[int, int, int]:
        """Number of CATH classes, architectures and topologies with an embedding."""
        for creator in self.cond_factory.feat_creators:
            if isinstance(creator, FoldEmbedding):
                c, a, t = (table.num_embeddings - 1 for table in creator.tables)
                return c, a, t
        return _NO_CLASSES

    @property
    def predicts_pairs(self) -> bool:
        """Whether there is a distogram head."""
        return bool(self.config.pair_update_layers() and self.config.num_buckets_predict_pair)

    def forward(self, inputs: Inputs, *, pair_logits: bool = False) -> Prediction:
        """Predict the target (velocity or clean coordinates) of noisy coordinates.

        Args:
            inputs: Noisy coordinates, times, mask and conditions.
            pair_logits: Also return the distogram logits (None without that head).

        Returns:
            Coordinates in nm, zero at padding, in the dtype of ``x_t``.
        """
        if self._widened:
            small = {
                name: weight.float()
                for name, weight in self.named_parameters()
                if not name.startswith(_TRUNK) or ".pair_norm." in name or ".to_bias." in name
            }
            return functional_call(self, small, (inputs,), {"pair_logits": pair_logits})
        registers = self.config.registers
        condition = self._condition(inputs)
        tokens = self._tokens(inputs)
        mask = F.pad(inputs.mask, (registers, 0), value=True)
        pair = None
        if not self.config.use_attn_pair_bias:
            bias = mask_bias(mask, tokens.dtype).expand(-1, -1, mask.shape[1], -1)
            biases = iter([bias] * self.config.nlayers)
            tokens = self._run(range(self.config.nlayers), tokens, condition, biases)
        else:
            if self.config.pair_update_layers():
                tokens, pair = self._trunk_with_updates(inputs, tokens, condition, mask)
            else:
                weights = [attention.bias_weight() for attention in self._attentions()]
                bias = self.pair_repr_builder(inputs, registers).biases(torch.cat(weights))
                biases = iter(bias.unflatten(1, (len(weights), -1)).unbind(1))
                tokens = self._run(range(self.config.nlayers), tokens, condition, biases)
        tokens = tokens[:, registers:]
        with exactly(tokens):
            out = self.coors_3d_decoder(tokens) * inputs.mask[..., None]
        logits = tokens.sum(-1) / tokens.shape[-1] ** 0.5
        distogram = self._pair_logits(pair) if pair_logits else None
        return Prediction(out.to(inputs.x_t.dtype), distogram, logits.to(inputs.x_t.dtype))

    @property
    def _widened(self) -> bool:
        """Whether to compute in float32 with narrower weights.

        Without matrix units, a CPU multiplies bfloat16 at half the speed of float32.
        """
        weight = self.linear_3d_embed.weight
        narrow = weight.dtype in (torch.bfloat16, torch.float16)
        return narrow and weight.device.type == "cpu" and not torch.cpu._is_amx_tile_supported()

    def _condition(self, inputs: Inputs) -> Conditioning:
        vector = self.transition_c_2(self.transition_c_1(self.cond_factory(inputs)))
        condition = Conditioning(vector, self.config.registers, inputs.mask.shape[1])
        if waits(vector.device):
            layers = [cast(Layer, layer) for layer in self.transformer_layers]
            condition.prepare([block for one in layers for block in (one.mhba, one.transition)])
        return condition

    def _tokens(self, inputs: Inputs) -> Float[Tensor, "b m d"]:
        noisy = (inputs.x_t * inputs.mask[..., None]).to(self.dtype)
        with exactly(noisy):
            tokens = self.linear_3d_embed(noisy) + self.init_repr_factory(inputs)
        if not self.config.registers:
            return tokens
        registers = self.registers.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        return torch.cat([registers, tokens], 1)

    def _attentions(self) -> list[PairBiasAttention]:
        return [layer.mhba.mha for layer in self.transformer_layers]  # type: ignore[union-attr]

    def _run(self, layers, tokens, condition, biases):
        for layer in map(self.transformer_layers.__getitem__, layers):
            given = (tokens, condition, next(biases))
            if next(layer.parameters()).dtype == self.dtype:
                tokens = run_layer(layer, *given, recompute=self.recompute)
            else:
                # One layer at a time: the copies stay in cache and are soon forgotten.
                wide = {name: weight.float() for name, weight in layer.named_parameters()}
                tokens = functional_call(layer, wide, given)
        return tokens

    def _trunk_with_updates(
        self, inputs: Inputs, tokens: Tensor, condition: Conditioning, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run groups of layers that share a pair representation, updating it in between."""
        registers, attentions = self.config.registers, self._attentions()
        pair = self.pair_repr_builder(inputs, registers).full()
        ends = [layer + 1 for layer in self.config.pair_update_layers()]
        start = 0
        for end in [*ends, self.config.nlayers]:
            biases = iter(bias_of_pairs(pair, mask, attentions[start:end]))
            tokens = self._run(range(start, end), tokens, condition, biases)
            if end in ends:
                pair = self.pair_update_layers[end - 1](tokens, pair, mask)
            start = end
        return tokens, pair

    def _pair_logits(self, pair: Tensor | None) -> Tensor | None:
        if pair is None or not self.predicts_pairs:
            return None
        start = self.config.registers
        return self.pair_head_prediction(pair[:, start:, start:])

    @classmethod
    def from_weights(
        cls, config: NetworkConfig, weights: dict[str, Tensor], source: str = "weights"
    ) -> "Proteina":
        """Build a network around a checkpoint's weights; the class counts come from them.

        Raises:
            FewstepError: Keys or shapes belong to another architecture.
        """
        tables = [f"cond_factory.feat_creators.1.embedding_{level}.weight" for level in "CAT"]
        known = [weights[key] for key in tables if key in weights]
        found = [table.shape[0] - 1 for table in known if table.ndim == 2]
        classes = (found[0], found[1], found[2]) if len(found) == 3 else _NO_CLASSES
        with torch.device("meta"):
            network = cls(config, classes)
        expected = network.state_dict()
        missing = sorted(expected.keys() - weights.keys())
        unknown = sorted(weights.keys() - expected.keys())
        shapes = [k for k in expected if k in weights and weights[k].shape != expected[k].shape]
        for what, keys in (("lacks", missing), ("also has", unknown), ("misshapes", shapes)):
            if keys:
                raise FewstepError(
                    f"{source} is not of the configured architecture: it {what} {len(keys)}"
                    f" tensors, the first {keys[0]}",
                    do="Give the model configuration that the checkpoint was trained with",
                )
        network.load_state_dict(weights, assign=True)
        return network.float().requires_grad_(True)
