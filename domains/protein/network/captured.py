"""A network's forward pass, recorded once for each size and replayed: no Python between kernels.

Eager is the definition and the fallback. Forward passes without gradients on a CUDA device are
recorded as CUDA graphs when a size comes again and again, compared with eager once, and replayed
from then on. Whatever is not served by that (gradients, other devices, a recording that fails or
differs) is computed eagerly.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from domains.protein.network.features import Inputs
from domains.protein.network.proteina import Prediction, Proteina

__all__ = ["Captured", "Record", "record_graph"]

_log = logging.getLogger(__name__)

# Runs a function on buffers that stay, and returns what runs it again on what they hold then.
Record = Callable[[Callable[[], tuple[Tensor, ...]]], Callable[[], tuple[Tensor, ...]]]

# Lengths are padded to multiples of this, or each would be a recording.
_BUCKET = 8
# Times that a size is computed eagerly before it is recorded: what comes once is not worth it.
_SEEN = 2
# Recordings of a network. Sizes that come later stay eager: to record costs some five passes, and
# where more sizes take turns, each would push out one that comes again.
_MOST = 24
# Values of all pairs' vectors, above which a pass stays eager: it keeps a GPU busy as it is, and
# what a recording works in is never given back.
_LARGEST = 1 << 28
# Most that a replay may differ from eager, relative to it: the same kernels give the same bits,
# but libraries may choose others.
_TOLERANCE = 1e-3
# Padded along the residues with zeros, which are no real residues.
_BY_RESIDUE = {"x_t", "mask", "x_sc", "residue_index", "chain_breaks", "motif_mask", "x_motif"}


class _Recording(NamedTuple):
    buffers: dict[str, Tensor]
    replay: Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True)
class _Refused:
    """A size that stays eager."""


class Captured:
    """Recordings of one network's forward pass; a copy of it begins without any.

    Args:
        record: Makes a recording.
        device: Kind of device that is served.
    """

    def __init__(self, record: Record | None = None, device: str = "cuda"):
        self.record, self.device = record or record_graph, device
        self._known: dict[Hashable, _Recording | _Refused | int] = {}
        self._weights: tuple[int, ...] = ()

    def __deepcopy__(self, _: dict[int, Any]) -> Captured:
        return Captured(self.record, self.device)

    def __call__(self, network: Proteina, inputs: Inputs) -> Prediction:
        """Return what ``network(inputs)`` does."""
        if not self._serves(network, inputs):
            return network(inputs)
        self._check_weights(network)
        n = inputs.mask.shape[1]
        padded = _padded(inputs, -n % _BUCKET)
        key = _key(network, padded)
        known = self._known.get(key, 0)
        if isinstance(known, int) and known >= _SEEN and self._held < _MOST:
            known = self._known[key] = self._recorded(network, padded)
        elif isinstance(known, int):
            self._known[key] = known + 1
        if not isinstance(known, _Recording):
            return _eager(network, padded, n)
        for name, buffer in known.buffers.items():
            buffer.copy_(getattr(padded, name))
        coordinates, logits = (out[:, :n].clone() for out in known.replay())
        return Prediction(coordinates, None, logits)

    def _serves(self, network: Proteina, inputs: Inputs) -> bool:
        if inputs.x_t.device.type != self.device or torch.is_grad_enabled():
            return False
        b, n = inputs.mask.shape
        if b * n * n * network.config.pair_repr_dim > _LARGEST:
            return False
        # A transformer over labels has dropout, whose numbers a recording would repeat.
        drawn = network.training and network.config.multilabel_mode == "transformer"
        capturing = self.device == "cuda" and torch.cuda.is_current_stream_capturing()
        return not drawn and not capturing

    def _check_weights(self, network: Proteina) -> None:
        """Forget everything if weights have come to other places: recordings know addresses."""
        weights = tuple(weight.data_ptr() for weight in network.parameters())
        if weights != self._weights:
            self._known.clear()
            self._weights = weights

    @property
    def _held(self) -> int:
        return sum(isinstance(one, _Recording) for one in self._known.values())

    def _recorded(self, network: Proteina, padded: Inputs) -> _Recording | _Refused:
        """Record a size, and compare it with eager, for which the device is waited for once."""
        kind = self.device
        half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None

        # Not inference tensors, which could not be written to in a training's validation.
        with torch.inference_mode(False), torch.no_grad():
            buffers = {name: value.clone() for name, value in _tensors(padded).items()}
            held = replace(padded, **buffers)

            def run() -> tuple[Tensor, ...]:
                # Without its cache: copies of weights would be those of the time of recording.
                with torch.autocast(kind, half, enabled=half is not None, cache_enabled=False):
                    out = network(held)
                return out.coors_pred, out.logits

            try:
                eager = run()
                replay = self.record(run)
                same = _alike(eager, replay(), padded.mask)
            except RuntimeError as error:
                _log.warning("no recording of a network's pass (%s): computed eagerly", error)
                return _Refused()
        if not same:
            _log.warning("a recorded pass of a network differs from eager: computed eagerly")
            return _Refused()
        return _Recording(buffers, replay)


def _eager(network: Proteina, padded: Inputs, n: int) -> Prediction:
    """Return what a recording would, of as many places: rounding does not tell them apart."""
    out = network(padded)
    return Prediction(out.coors_pred[:, :n], None, out.logits[:, :n])


def record_graph(
    run: Callable[[], tuple[Tensor, ...]],
) -> Callable[[], tuple[Tensor, ...]]:
    """Record ``run`` as a CUDA graph (see ``Record``)."""
    here, beside = torch.cuda.current_stream(), torch.cuda.Stream()
    beside.wait_stream(here)
    with torch.cuda.stream(beside):  # libraries make their plans and working memory
        for _ in range(2):
            run()
    here.wait_stream(beside)
    pool, graph = _pool(), torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            out = run()
    finally:
        torch.cuda.set_stream(here)  # where a recording fails, torch stays on its own stream

    def replay() -> tuple[Tensor, ...]:
        graph.replay()
        return out

    return replay


@cache
def _pool() -> Any:
    """Return the memory that all recordings share: one runs at a time, and its results are copied.

    An empty recording, which is never forgotten, holds it.
    """
    first = torch.cuda.CUDAGraph()
    with torch.cuda.graph(first, capture_error_mode="thread_local"):
        held = torch.zeros(1, device="cuda")
    _HELD.extend([first, held])
    return first.pool()


_HELD: list[Any] = []


def _tensors(inputs: Inputs) -> dict[str, Tensor]:
    given = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    return {name: value for name, value in given.items() if value is not None}


def _padded(inputs: Inputs, extra: int) -> Inputs:
    """Return inputs of more residues, which are not real."""
    if not extra:
        return inputs
    changed: dict[str, Tensor] = {}
    for name, value in _tensors(inputs).items():
        if name in _BY_RESIDUE:
            changed[name] = F.pad(value, (0,) * 2 * (value.ndim - 2) + (0, extra))
        elif name == "motif_pairs":
            changed[name] = F.pad(value, (0, extra, 0, extra))
    return replace(inputs, **changed)


def _key(network: Proteina, inputs: Inputs) -> Hashable:
    """Return all that a recording depends on, beside the numbers and the weights."""
    kind = inputs.x_t.device.type
    half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    shapes = tuple((name, value.shape, value.dtype) for name, value in _tensors(inputs).items())
    return shapes, half, torch.get_float32_matmul_precision(), network.training


def _alike(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], mask: Tensor) -> bool:
    """Return whether both are alike at the real residues."""
    for a, b in zip(ours, theirs, strict=True):
        real = mask if a.ndim == 2 else mask[..., None]
        one, other = (torch.where(real, each, 0.0).double() for each in (a, b))
        if not bool((one - other).norm() <= _TOLERANCE * one.norm()):  # nor is NaN
            return False
    return True
