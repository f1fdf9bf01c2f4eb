"""Proteina's training loss: flow matching and a distogram (arXiv 2503.00710, eqs. 3 and 7)."""

import random
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from domains.batch import Batch
from domains.device import sent
from domains.distillation.objectives.objective import denoising_loss
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss, by_time
from domains.distillation.times import Times
from domains.protein.conditions.scaffold import with_motifs
from domains.protein.conditions.told import told_to
from domains.protein.data.cath import drop_levels, mask_probabilities
from domains.protein.denoiser import ProteinaDenoiser

__all__ = ["distogram_loss", "flow_loss", "proteina_loss"]

# Proteina's training times: Beta(1.9, 1) with 2 % uniform.
_TIMES = Times(kind="beta")
_SELF_CONDITIONING = 0.5
# Shares of samples that see no label, C, C.A and C.A.T.
_LABEL_SHARES = (0.5, 0.1, 0.15, 0.25)

# Proteina's distogram: 64 bins up to 1 nm, counted only once the sample has some structure.
_LAST_BOUNDARY_NM = 1.0
_FROM_TIME = 0.3
# What errors of motif residues count beside those of all residues in motif models.
_MOTIF_WEIGHT = 5.0


def distogram_loss(
    logits: Float[Tensor, "b n n k"],
    clean: Float[Tensor, "b n 3"],
    time: Float[Tensor, " b"],
    mask: Bool[Tensor, "b n"],
) -> Float[Tensor, " b"]:
    """Return the cross-entropy of true Cα distances, averaged over the pairs of a sample.

    Args:
        logits: Output of the distogram head.
        clean: True coordinates in nm.
        time: Times in [0, 1]; samples at t ≤ 0.3 count nothing.
        mask: Real residues.
    """
    bins = logits.shape[-1]
    boundaries = torch.linspace(0.0, _LAST_BOUNDARY_NM, bins - 1, device=clean.device)
    distance = (clean[:, :, None] - clean[:, None]).norm(dim=-1)
    target = torch.bucketize(distance, boundaries)
    entropy = F.cross_entropy(logits.float().permute(0, 3, 1, 2), target, reduction="none")
    pairs = (mask[:, :, None] & mask[:, None]).float()
    mean = (entropy * pairs).sum((1, 2)) / (pairs.sum((1, 2)) + 1e-10)
    return mean * (time > _FROM_TIME)


def flow_loss(
    denoiser: ProteinaDenoiser,
    process: NoiseProcess,
    clean: Float[Tensor, "b n 3"],
    noisy: Float[Tensor, "b n 3"],
    time: Float[Tensor, " b"],
    batch: Batch,
    previous: Float[Tensor, "b n 3"] | None,
) -> Loss:
    """Return the flow-matching loss plus the distogram loss, averaged over the batch.

    Args:
        denoiser: Network to train.
        process: Its noise process.
        clean: True coordinates, centred, in nm.
        noisy: x_t.
        time: t.
        batch: Mask and fold labels.
        previous: Self-conditioning estimate, or None.
    """
    pairs = denoiser.network.predicts_pairs
    prediction = denoiser.predict(noisy, time, batch, previous, pair_logits=pairs)
    flow = denoising_loss(prediction.coors_pred, clean, time, batch, process)
    total, terms = flow.mean(), by_time("flow", flow.detach(), time)
    if denoiser.motif:
        inside = told_to(batch).get("motif_mask")
        assert inside is not None, "with_motifs has given every chain one"
        held = replace(batch, mask=inside)
        motif = denoising_loss(prediction.coors_pred, clean, time, held, process).mean()
        total, terms["motif"] = total + _MOTIF_WEIGHT * motif, motif.detach()
    if prediction.pair_logits is not None:
        distogram = distogram_loss(prediction.pair_logits, clean, time, batch.mask).mean()
        total, terms["distogram"] = total + distogram, distogram.detach()
    return Loss(total, {"flow": flow.detach().mean(), **terms})


def proteina_loss(
    denoiser: ProteinaDenoiser, process: NoiseProcess, batch: Batch, draws: Draws
) -> Loss:
    """Draw time, noise, self-conditioning and label masks, and return the training loss.

    Args:
        denoiser: Network to train.
        process: Its noise process.
        batch: Data; ``points`` in nm.
        draws: Numbers of this micro-batch.
    """
    batch = _drop_labels(batch, draws)
    if denoiser.motif:
        batch = with_motifs(batch, draws)
    assert batch.points is not None
    clean = process.target(batch.points, batch)
    time = sent(_TIMES.sample(clean.shape[0], draws.source("time")), clean.device)
    noisy = process.perturb(clean, draws.noise("noise")(batch.shape), time, batch)
    previous = None
    if torch.rand((), generator=draws.source("self-conditioning")) < _SELF_CONDITIONING:
        with torch.no_grad():
            previous = denoiser(noisy, time, batch)
    return flow_loss(denoiser, process, clean, noisy, time, batch, previous)


def _drop_labels(batch: Batch, draws: Draws) -> Batch:
    codes = told_to(batch).get("cath_code")
    if codes is None:
        return batch
    rng = random.Random(draws.integer("labels", 2**31))
    shares = mask_probabilities(_LABEL_SHARES)
    masked = [[drop_levels(code, shares, rng) for code in labels] for labels in codes]
    return replace(batch, condition={**batch.condition, "cath_code": masked})
