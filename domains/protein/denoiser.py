"""A Proteina network as the engine's denoiser: clean estimates, fold labels, motifs."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from domains.batch import Batch
from domains.device import sent
from domains.errors import FewstepError
from domains.files.model_files import read_model, write_model
from domains.protein.conditions.told import told_to
from domains.protein.data.cath import CathMapping
from domains.protein.network import NetworkConfig, Proteina
from domains.protein.network.captured import Captured
from domains.protein.network.features import Inputs
from domains.protein.network.initialise import initialise
from domains.protein.network.proteina import Prediction
from domains.protein.network.shrink import shrink

__all__ = ["ProteinaDenoiser"]


class ProteinaDenoiser(nn.Module):
    """Turns the network's prediction into a masked clean estimate.

    Args:
        network: The network.
        target: What it predicts: "v" (velocity) or "x_1" (clean coordinates).
        mapping: Rows of the fold classes it knows.
        motif: Whether it was trained in the frame of a motif (then nothing is centred).
    """

    def __init__(self, network: Proteina, target: str, mapping: CathMapping, motif: bool = False):
        super().__init__()
        if target not in ("v", "x_1"):
            raise FewstepError("prediction target of the network", expected="v or x_1", got=target)
        self.network, self.target, self.mapping, self.motif = network, target, mapping, motif
        self.captured = Captured()

    @classmethod
    def untrained(
        cls, config: NetworkConfig, mapping: CathMapping, seed: int
    ) -> "ProteinaDenoiser":
        """Build a network of velocities with initial weights that the seed decides."""
        classes = mapping.classes
        network = Proteina(config, (classes["C"], classes["A"], classes["T"]))
        initialise(network, seed)
        motif = any("motif" in name for name in config.feats_init_seq)
        return cls(network, "v", mapping, motif)

    def shrunk(self, layers: int) -> "ProteinaDenoiser":
        """Return a denoiser of so many of its layers (see ``shrink``)."""
        small = shrink(self.network, layers)
        return ProteinaDenoiser(small, self.target, self.mapping, self.motif).train(self.training)

    def forward(
        self,
        noisy: Float[Tensor, "b n 3"],
        time: Float[Tensor, " b"],
        batch: Batch,
        previous: Float[Tensor, "b n 3"] | None = None,
    ) -> Float[Tensor, "b n 3"]:
        """Estimate the clean coordinates in nm (see ``Denoiser``)."""
        return self.predict(noisy, time, batch, previous).coors_pred

    def predict(
        self,
        noisy: Float[Tensor, "b n 3"],
        time: Float[Tensor, " b"],
        batch: Batch,
        previous: Float[Tensor, "b n 3"] | None = None,
        *,
        pair_logits: bool = False,
    ) -> Prediction:
        """Return the network's outputs, with the clean estimate as ``coors_pred``."""
        labels, present = self._labels(batch)
        condition = told_to(batch)
        inputs = Inputs(
            x_t=noisy,
            t=time,
            mask=batch.mask,
            x_sc=previous,
            labels=labels,
            label_mask=present,
            motif_mask=condition.get("motif_mask"),
            x_motif=condition.get("x_motif"),
            motif_pairs=condition.get("motif_pairs"),
        )
        if pair_logits:
            out = self.network(inputs, pair_logits=True)
        else:
            out = self.captured(self.network, inputs)
        clean = out.coors_pred.float()
        if self.target == "v":
            clean = noisy + (1 - time)[:, None, None] * clean
        return replace(out, coors_pred=clean * batch.mask[..., None])

    def _labels(
        self, batch: Batch
    ) -> tuple[Int[Tensor, "b k 3"] | None, Bool[Tensor, "b k"] | None]:
        """Return fold-class rows; None when the batch carries no labels.

        With several labels in mode "sample", a sample keeps the one its own labels draw:
        the same at every step, and independent of what was drawn before.
        """
        codes = told_to(batch).get("cath_code")
        if codes is None:
            return None, None
        chosen = [list(labels) or [None] for labels in codes]
        if self.network.config.multilabel_mode == "sample":
            chosen = [labels if len(labels) == 1 else [_drawn(labels)] for labels in chosen]
        most = max(len(labels) for labels in chosen)
        null = self.mapping.indices(None)
        rows = [[*map(self.mapping.indices, x), *[null] * (most - len(x))] for x in chosen]
        present = [[k < len(labels) for k in range(most)] for labels in chosen]
        device = batch.mask.device
        return sent(torch.tensor(rows), device), sent(torch.tensor(present), device)

    def save(self, directory: Path, **provenance: Any) -> None:
        """Write the canonical form: ``model.safetensors`` and ``model.json``."""
        write_model(directory, dict(self.network.state_dict()), self.describe(**provenance))

    def describe(self, **provenance: Any) -> dict[str, Any]:
        """Return the content of ``model.json``."""
        return {
            "network": self.network.config.model_dump(mode="json"),
            "target": self.target,
            "motif": self.motif,
            "cath_mapping": self.mapping.to_dict(),
            "provenance": provenance,
        }

    @classmethod
    def load(cls, directory: Path) -> "ProteinaDenoiser":
        """Read the canonical form, computing in float32."""
        weights, config = read_model(directory)
        return cls.build(weights, config, str(directory))

    @classmethod
    def build(
        cls, weights: dict[str, Tensor], config: dict[str, Any], source: str
    ) -> "ProteinaDenoiser":
        """Build from weights and a ``model.json`` content.

        Raises:
            FewstepError: The weights do not fit the configuration.
        """
        network = Proteina.from_weights(
            NetworkConfig.parse(config.get("network"), source), weights, source
        )
        tables = network.fold_classes
        classes = dict(zip("CAT", tables, strict=True))
        codes = config.get("cath_mapping") or {level: {} for level in "CAT"}
        mapping = CathMapping.from_dict(codes, classes)
        target = str(config.get("target", "v"))
        return cls(network, target, mapping, bool(config.get("motif", False)))


def _drawn(labels: Sequence[str | None]) -> str | None:
    """Draw one of several labels, always the same of the same ones."""
    return random.Random(repr(labels)).choice(labels)
