"""Contract: a fake score is asked what the teacher was asked, beside its error."""

import torch
from distillation.toy import TIMES, ToyDenoiser, blank
from torch import Tensor

from domains.batch import Batch
from domains.distillation.objectives.objective import denoise
from domains.distillation.process import FlowMatching
from domains.distillation.roles import Draws, Roles


class Regularised(FlowMatching):
    """Adds a number that is seen: 7 for each sample."""

    def regulariser(self, estimate: Tensor, noisy: Tensor, time: Tensor, batch: Batch) -> Tensor:
        return torch.full_like(time, 7.0)


def test_flow_matching_adds_nothing() -> None:
    points, time = torch.randn(2, 5, 3), torch.tensor([0.2, 0.9])
    added = FlowMatching().regulariser(points, points, time, blank([5, 5]))
    assert torch.equal(added, torch.zeros(2))


def test_what_the_process_adds_reaches_the_fake_scores_loss() -> None:
    batch, draws, network = blank([5, 5]), Draws(("regulariser",)), ToyDenoiser(2)
    losses, clean = [], torch.randn(2, 5, 3)
    for process in (FlowMatching(), Regularised()):
        roles = Roles(process, ToyDenoiser(1), ToyDenoiser(0))
        loss, terms = denoise(network, clean, roles, batch, draws, TIMES)
        losses.append((loss, terms["denoising"]))
    (plain, error), (added, same) = losses
    assert torch.equal(plain, error) and torch.equal(error, same)
    torch.testing.assert_close(added, plain + 7)
