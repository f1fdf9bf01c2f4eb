"""Blocks of the U-Nets: sparse tensors in, sparse tensors out.

Modules are numbered as in LiDiff, so that weights have its names. What a block makes itself
is overwritten where it can be; its input never is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from domains.lidar.sparse import SparseTensor

__all__ = ["BatchNorm", "Convolution", "Down", "ReLU", "ResidualBlock", "Up", "concatenate", "stem"]


def _kernel(*shape: int) -> nn.Parameter:
    """Return a kernel with MinkowskiEngine's initial values: uniform in ±1/√fan-in."""
    bound = (torch.Size(shape[:-1]).numel()) ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


class Convolution(nn.Module):
    """3x3x3 convolution without bias."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.kernel = _kernel(27, inputs, outputs)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return features of the same voxels."""
        return x.with_features(x.pyramid.convolve(x.features, self.kernel, x.level))


class Pointwise(nn.Module):
    """1x1x1 convolution without bias."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.kernel = _kernel(inputs, outputs)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return features of the same voxels."""
        return x.with_features(x.features @ self.kernel)


class DownConvolution(nn.Module):
    """2x2x2 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.kernel = _kernel(8, inputs, outputs)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return features of the parents."""
        features = x.pyramid.down(x.features, self.kernel, x.level)
        return SparseTensor(features, x.pyramid, x.level + 1)


class UpConvolution(nn.Module):
    """Transposed 2x2x2 convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.kernel = _kernel(8, inputs, outputs)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return features of the children."""
        features = x.pyramid.up(x.features, self.kernel, x.level)
        return SparseTensor(features, x.pyramid, x.level - 1)


class BatchNorm(nn.Module):
    """Batch normalisation over the voxels of all scans."""

    def __init__(self, channels: int):
        super().__init__()
        self.bn = nn.BatchNorm1d(channels)

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return normalised features, in place of the given ones where no gradient is kept."""
        return x.with_features(self.bn(x.features) if self.training else self._scale(x.features))

    def _scale(self, features: Tensor) -> Tensor:
        mean, variance = self.bn.running_mean, self.bn.running_var
        assert mean is not None and variance is not None
        scale = self.bn.weight * torch.rsqrt(variance + self.bn.eps)
        shift = self.bn.bias - mean * scale
        if torch.is_grad_enabled():
            return torch.addcmul(shift, features, scale)
        return torch.addcmul(shift, features, scale, out=features)


class ReLU(nn.Module):
    """Rectifier, in place."""

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return the same voxels with negative features set to zero."""
        return x.with_features(F.relu_(x.features))


class ResidualBlock(nn.Module):
    """Two normalised convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.net = nn.Sequential(
            Convolution(inputs, outputs),
            BatchNorm(outputs),
            ReLU(),
            Convolution(outputs, outputs),
            BatchNorm(outputs),
        )
        self.downsample = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(Pointwise(inputs, outputs), BatchNorm(outputs))
        )

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return features of the same voxels."""
        y = self.net(x)
        return y.with_features(F.relu_(y.features.add_(self.downsample(x).features)))


class Down(nn.Module):
    """Normalised convolution to the next coarser level."""

    def __init__(self, channels: int):
        super().__init__()
        self.net = nn.Sequential(DownConvolution(channels, channels), BatchNorm(channels), ReLU())

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return features of the parents."""
        return self.net(x)


class Up(nn.Module):
    """Normalised convolution to the next finer level."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.net = nn.Sequential(UpConvolution(inputs, outputs), BatchNorm(outputs), ReLU())

    def forward(self, x: SparseTensor) -> SparseTensor:
        """Return features of the children."""
        return self.net(x)


def stem(channels: int) -> nn.Sequential:
    """Return the first layers: from three coordinates to features."""
    return nn.Sequential(
        Convolution(3, channels),
        BatchNorm(channels),
        ReLU(),
        Convolution(channels, channels),
        BatchNorm(channels),
        ReLU(),
    )


def concatenate(x: SparseTensor, skip: SparseTensor) -> SparseTensor:
    """Return the features of both, in this order."""
    return x.with_features(torch.cat([x.features, skip.features], 1))
