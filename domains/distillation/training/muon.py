"""Muon for the matrices inside a network and Adam for all else, as one optimiser."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from domains.errors import FewstepError

__all__ = ["MuonAdam", "inner_matrices"]

_LEAST_SIDE = 16  # of a matrix; what leads to heads or comes from coordinates is narrower


def inner_matrices(network: nn.Module) -> list[nn.Parameter]:
    """Return the trainable weights of a network's linear layers that are no narrow way in or out.

    Muon is made for these (Jordan et al., 2024): for tables, biases, norms and narrow layers a
    matrix's singular values have no meaning that should be made even.
    """
    linear = {id(part.weight) for part in network.modules() if isinstance(part, nn.Linear)}
    return [
        weight
        for weight in network.parameters()
        if id(weight) in linear and weight.requires_grad and min(weight.shape) >= _LEAST_SIDE
    ]


class MuonAdam(Optimizer):
    """Steps of torch's Muon for some matrices, of its Adam for the other parameters.

    Muon makes the singular values of a matrix's averaged gradient alike, so that no direction of
    it is left behind; its steps are scaled to be as large as Adam's usually are, so both take the
    same learning rate (arXiv 2502.16982).
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        others: list[nn.Parameter],
        rate: float,
        betas: tuple[float, float],
    ):
        """Prepare steps of ``rate``.

        Args:
            matrices: Two-dimensional parameters, which Muon steps.
            others: Parameters that Adam steps.
            rate: Learning rate of both.
            betas: Decays of Adam's moments; Muon's momentum is .95.

        Raises:
            FewstepError: This torch has no Muon.
        """
        if not hasattr(torch.optim, "Muon"):
            raise FewstepError(
                "this torch has no Muon",
                expected="2.9 or newer",
                got=torch.__version__,
                do="Update torch, or train by adam",
            )
        muon = torch.optim.Muon(matrices, lr=rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        self._parts: tuple[Optimizer, Optimizer] = muon, Adam(others, lr=rate, betas=betas)
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up a state, the parts too."""
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Let both parts work on this optimiser's groups and moments."""
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Make a step of both; of neither if ``found_inf`` [] was set above 0 (``step_if_finite``).

        To know the latter on an accelerator, Muon has to wait for it; Adam does not.
        """
        muon, adam = self._parts
        bad: Tensor | None = getattr(self, "found_inf", None)
        adam.grad_scale, adam.found_inf = None, bad  # type: ignore[attr-defined]
        if bad is None or not bool(bad):
            muon.step(closure)
        adam.step()
