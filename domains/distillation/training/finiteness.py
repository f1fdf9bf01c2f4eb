"""Numbers of a training that must be finite: told where they are not, without waiting for them."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from domains.device import sent
from domains.distillation.roles import Loss
from domains.distillation.training.optimiser import step_if_finite
from domains.errors import FewstepError

__all__ = ["Finiteness"]


class Finiteness:
    """Stops a training whose loss, gradient or weights are not finite, before they are saved.

    A CPU is asked at once. On an accelerator, what must be finite is kept, and ``settle`` asks:
    before a row of the log or a checkpoint is written, or when much was kept. Until then, steps
    with a gradient that is not finite change nothing.

    Attributes:
        late: Whether to keep and ask later; the optimisers are fused then.
        most: Checks that are kept before ``full`` says so.
    """

    most = 256

    def __init__(self) -> None:
        self.late = False
        self._kept: list[tuple[int, str, list[str], Tensor]] = []

    @property
    def full(self) -> bool:
        """Whether enough was kept to be asked for."""
        return len(self._kept) >= self.most

    def checked(self, loss: Loss, step: int, role: str) -> tuple[Tensor, str | None]:
        """Return the loss, and the name of a term that is not finite.

        Where that is not known yet, the loss is NaN if one is not.
        """
        terms = {"loss": loss.value, **loss.diagnostics}
        if self.late:
            finite = self._keep(step, role, terms).float()
            return loss.value * (finite / finite), None
        bad = (term for term, value in terms.items() if not value.detach().isfinite().all())
        return loss.value, next(bad, None)

    def step(
        self,
        step: int,
        role: str,
        optimiser: Optimizer,
        norm: Tensor,
        network: nn.Module,
        bad: str | None,
    ) -> None:
        """Make a step of an optimiser, checking its gradient before and its weights after.

        Args:
            step: Number of the step.
            role: Whose it is.
            optimiser: The optimiser; it forgets the gradients.
            norm: Norm of the gradient, all processes' alike [].
            network: What is optimised.
            bad: The term that made the gradient what it is, if one is known not to be finite.

        Raises:
            FewstepError: The gradient or a weight is not finite.
        """
        if self.late:
            step_if_finite(optimiser, self._keep(step, role, {"gradient": norm}))
        elif not torch.isfinite(norm):
            raise _not_finite(step, role, bad or f"gradient of {_first(network, 'grad')}")
        else:
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        # Before they can reach a checkpoint.
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        largest = nn.utils.get_total_norm(weights, float("inf"))
        if self.late:
            self._keep(step, role, {"weight": largest})
        elif not torch.isfinite(largest):
            raise _not_finite(step, role, f"weight {_first(network, 'data')}")

    def _keep(self, step: int, role: str, terms: Mapping[str, Tensor]) -> Tensor:
        """Keep terms of one update; return, on their device, whether all are finite []."""
        device = next(iter(terms.values())).device
        parts = [sent(value.detach().reshape(-1).float(), device) for value in terms.values()]
        names = [name for name, part in zip(terms, parts, strict=True) for _ in range(len(part))]
        finite = torch.cat(parts).isfinite()
        self._kept.append((step, role, names, finite))
        return finite.all()

    def settle(self) -> None:
        """Wait for all that was kept.

        Raises:
            FewstepError: Something is not finite; names the first of it.
        """
        kept, self._kept = self._kept, []
        if not kept:
            return
        finite = torch.cat([each for *_, each in kept]).cpu()  # one wait for all of them
        if not bool(finite.all()):
            told = [(step, role, name) for step, role, names, _ in kept for name in names]
            raise _not_finite(*told[int(finite.int().argmin())])


def _first(network: nn.Module, part: Literal["grad", "data"]) -> str:
    """Return the name of the first weight of which a part is not finite."""
    for name, parameter in network.named_parameters():
        values = getattr(parameter, part)
        if values is not None and not torch.isfinite(values).all():
            return name
    return "the network"


def _not_finite(step: int, role: str, term: str) -> FewstepError:
    return FewstepError(
        f"training left the finite numbers at step {step}, role {role}, term {term}",
        do="Lower the learning rate or the loss scale; the last checkpoint is whole",
    )
