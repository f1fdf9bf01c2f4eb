"""Contract: Proteina's training loss, distogram and self-conditioning are the reference's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from protein.network.golden_files import arrays, assert_close, golden_network, read_json

from domains.batch import Batch
from domains.distillation.process import FlowMatching
from domains.distillation.roles import Draws
from domains.protein.denoiser import ProteinaDenoiser
from domains.protein.losses.flow_loss import distogram_loss, flow_loss, proteina_loss

RELATIVE = 1e-5
ANGSTROM = 0.1
PROCESS = FlowMatching()


def cases(golden: Path) -> dict[str, dict[str, torch.Tensor]]:
    values = arrays(golden / "protein/loss/proteina_train.npz")
    names = sorted({key.rpartition(".")[0] for key in values})
    assert names
    split = {name: f"{name}." for name in names}
    return {
        name: {k.removeprefix(p): v for k, v in values.items() if k.startswith(p)}
        for name, p in split.items()
    }


def prepared(golden: Path, name: str) -> ProteinaDenoiser:
    return golden_network(golden, name.split(".")[0]).denoiser().requires_grad_(True)


def test_training_loss_and_gradients_agree(golden: Path):
    meta = read_json(golden / "protein/loss/meta.json")
    for name, given in cases(golden).items():
        denoiser, batch = prepared(golden, name), Batch(mask=given["mask"])
        clean = PROCESS.target(ANGSTROM * given["x_1_angstrom"], batch)
        noisy = PROCESS.perturb(clean, given["draw3_randn"], given["t"], batch)
        assert_close(noisy, given["x_t"], RELATIVE, name)
        previous = given.get("x_sc")
        if previous is not None:
            with torch.no_grad():
                first = denoiser(noisy, given["t"], batch)
            assert_close(first[batch.mask], previous[batch.mask], RELATIVE, name)
        loss = flow_loss(denoiser, PROCESS, clean, noisy, given["t"], batch, previous)
        logs = meta[f"train.{name}."]["logs"]
        expected = logs["validation_loss/trans_loss"]
        assert float(loss.diagnostics["flow"]) == pytest.approx(expected, rel=RELATIVE)
        distogram = float(loss.diagnostics.get("distogram", torch.zeros(())))
        expected = logs["validation_loss/distogram_loss"]
        assert distogram == pytest.approx(expected, rel=RELATIVE), name
        assert_close(loss.value.detach(), given["loss"], RELATIVE, name)
        loss.value.backward()
        network = denoiser.network
        decoder = network.coors_3d_decoder[1].weight
        assert_close(network.linear_3d_embed.weight.grad, given["grad_linear_3d_embed"], RELATIVE)
        assert_close(decoder.grad, given["grad_coors_decoder"], RELATIVE)
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        assert norm == pytest.approx(meta[f"train.{name}."]["grad_norm"], rel=RELATIVE)


def test_distogram_counts_only_late_samples_and_real_pairs():
    source = torch.Generator().manual_seed(0)
    clean = torch.randn(2, 5, 3, generator=source) * 0.3
    logits = torch.randn(2, 5, 5, 8, generator=source)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    time = torch.tensor([0.3, 0.31])
    loss = distogram_loss(logits, clean, time, mask)
    assert loss[0] == 0 and loss[1] > 0
    logits[1, 3:] = 100 * torch.randn(2, 5, 8, generator=source)
    clean[1, 3:] = 7.0
    assert torch.equal(distogram_loss(logits, clean, time, mask), loss)


def test_perfect_logits_leave_no_distogram_loss():
    clean = torch.tensor([[[0.0, 0, 0], [0.5, 0, 0]]])
    boundaries = torch.linspace(0.0, 1.0, 7)
    distance = (clean[:, :, None] - clean[:, None]).norm(dim=-1)
    target = torch.bucketize(distance, boundaries)
    logits = 100 * torch.nn.functional.one_hot(target, 8).float()
    loss = distogram_loss(logits, clean, torch.ones(1), torch.ones(1, 2, dtype=torch.bool))
    assert float(loss) < 1e-6


def test_same_draws_give_the_same_loss_and_it_has_a_gradient(golden: Path):
    for name, given in cases(golden).items():
        denoiser = prepared(golden, name)
        points = ANGSTROM * given["x_1_angstrom"]
        batch = Batch(mask=given["mask"], points=points)
        losses = [proteina_loss(denoiser, PROCESS, batch, Draws((1,))).value for _ in range(2)]
        assert losses[0] == losses[1]
        moved = replace(batch, points=points + 3.0)
        shifted = proteina_loss(denoiser, PROCESS, moved, Draws((1,))).value
        torch.testing.assert_close(shifted, losses[0], rtol=1e-4, atol=0)
        losses[0].backward()
        assert denoiser.network.registers.grad is not None
        assert denoiser.network.registers.grad.isfinite().all()
