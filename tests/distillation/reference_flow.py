"""SiD_Protein's centring, for golden values made with it: its means run over padding, too."""

from dataclasses import dataclass

from torch import Tensor

from domains.batch import Batch
from domains.distillation.process import FlowMatching

__all__ = ["ReferenceFlow"]


@dataclass(frozen=True)
class ReferenceFlow(FlowMatching):
    """The linear path, by which a result depends on the padded length."""

    def target(self, clean: Tensor, batch: Batch) -> Tensor:
        return clean * batch.mask[..., None]

    def _relative(self, clean: Tensor, batch: Batch) -> Tensor:
        clean = clean * batch.mask[..., None]
        return clean - clean.mean(1, keepdim=True)

    def _noise(self, noise: Tensor, batch: Batch) -> Tensor:
        noise = self.project(noise, batch)
        return noise - noise.mean(1, keepdim=True)
