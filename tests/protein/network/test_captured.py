"""Contract: a replayed pass is the eager one, and whatever could make it another is eager.

There is no CUDA graph here: a recording runs its function again, on the buffers that it was given.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from protein.network.examples import chain, small
from protein.network.golden_files import assert_close
from torch import Tensor

from domains.protein.network import captured as module
from domains.protein.network.captured import Captured
from domains.protein.network.features import Inputs
from domains.protein.network.proteina import Proteina

Run = Callable[[], tuple[Tensor, ...]]
EVERYTHING = ["rel_seq_sep", "x_sc_pair_dists", "xt_pair_dists", "xt_pair_directions"]


class Recorder:
    """Counts recordings and replays; results lie at one place, as a graph's do."""

    def __init__(self, spoil: float = 1.0, fault: Exception | None = None):
        self.recorded, self.replayed, self.spoil, self.fault = 0, 0, spoil, fault

    def __call__(self, run: Run) -> Run:
        if self.fault:
            raise self.fault
        self.recorded += 1
        out = tuple(torch.empty_like(part) for part in run())

        def replay() -> tuple[Tensor, ...]:
            self.replayed += 1
            for place, part in zip(out, run(), strict=True):
                place.copy_(self.spoil * part)
            return out

        return replay


@pytest.fixture
def network() -> Proteina:
    return small(feats_pair_repr=EVERYTHING)


def conditioned(sizes: tuple[int, ...] = (9, 6), seed: int = 1) -> Inputs:
    given = chain(sizes, seed)
    labels = torch.tensor([[[1, 2, 3]], [[0, 1, 4]]])
    return replace(given, x_sc=0.9 * given.x_t, labels=labels)


def test_replays_equal_eager(network: Proteina):
    record = Recorder()
    captured, results = Captured(record, "cpu"), []
    with torch.no_grad():
        for seed in range(6):
            for sizes in ((9, 6), (16, 11)):
                given = conditioned(sizes, seed)
                results.append((captured(network, given), network(given)))
    # Compared at the end: a later replay must not have written over an earlier result.
    for ours, eager in results:
        assert ours.coors_pred.shape == eager.coors_pred.shape
        assert_close(ours.coors_pred, eager.coors_pred, 1e-5)
        real = eager.coors_pred.abs().sum(-1) > 0
        assert_close(ours.logits[real], eager.logits[real], 1e-5)
    assert (record.recorded, record.replayed) == (1, 1 + 10)  # two eager, one to compare


def test_sizes_of_a_bucket_share_a_recording(network: Proteina):
    record = Recorder()
    captured = Captured(record, "cpu")
    with torch.no_grad():
        for sizes in ((9, 6), (12, 9), (16, 9), (10, 10), (13, 3)):
            captured(network, chain(sizes))
        assert (record.recorded, record.replayed) == (1, 1 + 3)  # one was for comparing
        captured(network, chain((17, 9)))
        captured(network, conditioned())
    assert record.recorded == 1


@pytest.mark.parametrize("how", ["gradient", "device", "large", "spoilt", "fault", "nan"])
def test_what_is_not_served_is_eager(
    network: Proteina,
    how: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    if how == "large":
        monkeypatch.setattr(module, "_LARGEST", 2 * 9 * 9 * 16 - 1)
    spoil = {"spoilt": 1.01, "nan": float("nan")}.get(how, 1.0)
    record = Recorder(spoil, RuntimeError("not permitted") if how == "fault" else None)
    captured = Captured(record, "cuda" if how == "device" else "cpu")
    with torch.set_grad_enabled(how == "gradient"):
        for seed in range(5):
            given = chain(seed=seed)
            ours, eager = (one(given).coors_pred for one in (partial(captured, network), network))
            if how in ("gradient", "device", "large"):
                assert torch.equal(ours, eager)
            else:  # padded as a recording would be
                assert_close(ours, eager, 1e-5)
    tried = how in ("spoilt", "nan")
    assert (record.recorded, record.replayed) == (tried, tried)
    assert ("computed eagerly" in caplog.text) == (how in ("spoilt", "nan", "fault"))
    assert caplog.text.count("computed eagerly") <= 1


def test_other_weights_and_precisions_are_not_mixed_up(network: Proteina):
    record = Recorder()
    captured, given = Captured(record, "cpu"), chain()

    def error() -> float:
        ours, eager = captured(network, given).coors_pred, network(given).coors_pred
        return float((ours - eager).norm() / eager.norm())

    with torch.no_grad():
        for _ in range(4):
            assert error() < 1e-5
        assert record.recorded == 1
        for weight in network.parameters():  # as an optimiser does: the recording reads them
            weight.mul_(1.1)
        assert error() < 1e-5 and record.recorded == 1
        with torch.autocast("cpu", torch.bfloat16):
            for _ in range(4):
                assert error() < 1e-2
        assert record.recorded == 2
        for weight in network.parameters():  # elsewhere, as after ``to``
            weight.data = 0.9 * weight.data
        for _ in range(4):
            assert error() < 1e-5
        assert record.recorded == 3


def test_recordings_of_sampling_serve_training_and_back(network: Proteina):
    record = Recorder()
    captured = Captured(record, "cpu")
    for seed in range(4):
        with torch.inference_mode():
            captured(network, chain(seed=seed))
    given = chain(seed=9)
    with torch.no_grad():
        ours = captured(network, given).coors_pred
    assert record.recorded == 1 and not ours.is_inference()
    assert_close(ours, network(given).coors_pred.detach(), 1e-5)


def test_sizes_that_come_after_the_most_stay_eager(
    network: Proteina, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_MOST", 2)
    record = Recorder()
    captured = Captured(record, "cpu")
    with torch.no_grad():
        for _ in range(4):  # taking turns, none pushes another out
            for n in (8, 16, 24):
                captured(network, chain((n, 5)))
    assert record.recorded == 2


def test_eager_passes_are_padded_as_recorded_ones(network: Proteina):
    """So that a size gives the same bits before it is recorded as after."""
    captured = Captured(Recorder(), "cpu")
    given = chain((13, 5))
    with torch.no_grad():
        found = [captured(network, given).coors_pred for _ in range(4)]
    assert all(torch.equal(found[0], one) for one in found[1:])
    assert found[0].shape[1] == 13


def test_a_copy_has_no_recordings(network: Proteina):
    record = Recorder()
    captured = Captured(record, "cpu")
    with torch.no_grad():
        for _ in range(4):
            captured(network, chain())
        copied = copy.deepcopy(captured)
        assert copied.device == "cpu" and not copied._known and captured._known
