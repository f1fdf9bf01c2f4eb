"""A teacher's training loss on chains that it is not trained on, beside those that it is."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from domains.batch import Batch
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws
from domains.protein.data.dataset import CathDomains
from domains.protein.data.token_batches import rotated
from domains.protein.denoiser import ProteinaDenoiser
from domains.protein.losses.flow_loss import proteina_loss
from domains.protein.settings import ProteinPretrain

__all__ = ["HeldOutFlow"]

# Chains of each part; the same, with the same times and noise, in all validations.
_CHAINS = 64


class HeldOutFlow:
    """Measures the flow-matching loss on validation and training domains.

    Apart from labels and self-conditioning, which are drawn as in training, a difference of the two
    is over-fitting.

    Args:
        domains: Packed domains.
        process: Returns a denoiser's noise process.
        config: The training: its lengths and batches.
        seed: Key of chains, rotations, times and noise.

    Raises:
        FewstepError: There are no validation domains of these lengths.
    """

    def __init__(
        self,
        domains: CathDomains,
        process: Callable[[ProteinaDenoiser], NoiseProcess],
        config: ProteinPretrain,
        seed: int,
    ):
        self.process, self.seed, lengths = process, seed, config.lengths
        self.parts = {
            name: _batches(
                domains.subset(split, lengths.low, lengths.high), config.residues_per_batch, seed
            )
            for name, split in (("flow", "val"), ("flow_of_training", "train"))
        }

    def __call__(self, denoiser: ProteinaDenoiser) -> dict[str, float]:
        """Return both losses, and as "quality" that of validation domains, negative."""
        found = {name: self._mean(denoiser, batches) for name, batches in self.parts.items()}
        return {"quality": -found["flow"], **found}

    def _mean(self, denoiser: ProteinaDenoiser, batches: Sequence[Batch]) -> float:
        device, process = next(denoiser.parameters()).device, self.process(denoiser)
        total, chains = 0.0, 0
        for number, batch in enumerate(batches):
            draws = Draws((self.seed, "held out", number), device)
            with torch.no_grad():
                loss = proteina_loss(denoiser, process, batch.to(device), draws)
            total += float(loss.diagnostics["flow"]) * len(batch.mask)
            chains += len(batch.mask)
        return total / chains


def _batches(domains: CathDomains, residues: int, seed: int) -> list[Batch]:
    """Return ``_CHAINS`` chains, evenly over all lengths, or all there are; short ones first."""
    ascending = np.argsort(domains.lengths, kind="stable")
    count = min(_CHAINS, len(ascending))
    chosen = ascending[np.arange(count) * len(ascending) // count]
    groups: list[list[int]] = [[]]
    for member in chosen.tolist():
        if groups[-1] and (len(groups[-1]) + 1) * domains.lengths[member] > residues:
            groups.append([])
        groups[-1].append(member)
    return [
        rotated(domains, np.array(group), np.random.default_rng([seed, number]))
        for number, group in enumerate(groups)
    ]
