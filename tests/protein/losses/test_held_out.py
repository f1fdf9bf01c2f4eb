"""Contract: a teacher in training is measured on domains that it does not see."""

from pathlib import Path

import pytest
import torch
from tiny_run import NETWORK, write_config

from domains.distillation.process import FlowMatching
from domains.distillation.training.log_table import LogTable
from domains.errors import FewstepError
from domains.field import load_field
from domains.protein.data.dataset import load_domains
from domains.protein.losses.held_out import HeldOutFlow
from domains.protein.settings import ProteinPretrain
from domains.stages.pretrain import pretrain

CONFIG = ProteinPretrain.model_validate(
    {"network": NETWORK, "fit": {"steps": 1}, "lengths": {"low": 40, "high": 60}}
)


def flow(seed: int = 0) -> HeldOutFlow:
    return HeldOutFlow(load_domains(None), lambda _: FlowMatching(), CONFIG, seed)


def test_its_chains_are_the_splits_own_and_as_many() -> None:
    known = load_domains(None)
    for name, split in (("flow", "val"), ("flow_of_training", "train")):
        domains = known.subset(split, 40, 60)
        sizes = [int(size) for batch in flow().parts[name] for size in batch.sizes]
        assert len(sizes) == min(64, len(domains)) and sizes == sorted(sizes)
        assert set(sizes) <= {int(n) for n in domains.lengths}
        assert abs(sum(sizes) / len(sizes) - domains.lengths.mean()) < 1
        places = [batch.mask.numel() for batch in flow().parts[name]]
        assert len(places) > 1 and max(places) <= CONFIG.residues_per_batch


def test_measured_again_it_is_the_same_and_better_weights_are_better() -> None:
    denoiser = load_field("protein").new(CONFIG, 0)
    measure = flow()
    first = measure(denoiser)
    assert first == measure(denoiser) and first["quality"] == -first["flow"]
    assert first["flow"] != first["flow_of_training"] and first != flow(1)(denoiser)
    with torch.no_grad():
        for weight in denoiser.network.coors_3d_decoder.parameters():
            weight.add_(3.0)
    assert measure(denoiser)["quality"] < first["quality"]


def test_a_training_logs_it_and_keeps_what_was_best(tmp_path: Path) -> None:
    section = {
        "network": NETWORK,
        "lengths": {"low": 40, "high": 44},
        "residues_per_batch": 400,
        "fit": {"steps": 4, "validate_every": 2, "log_every": 2},
    }
    config = write_config(tmp_path / "c.yaml", teacher="pretrain", pretrain=section)
    pretrain(config, tmp_path / "state", tmp_path / "teacher")
    rows = LogTable(tmp_path / "state" / "log.csv", 9).rows
    assert [row["step"] for row in rows] == [2, 4]
    for row in rows:
        assert row["validation/quality"] == -row["validation/flow"] < 0
        assert row["validation/flow_of_training"] > 0


def test_no_validation_domains_is_said_before_training(tmp_path: Path) -> None:
    section = {
        "network": NETWORK,
        "lengths": {"low": 13, "high": 20},
        "fit": {"steps": 4, "validate_every": 2},
    }
    config = write_config(tmp_path / "c.yaml", teacher="pretrain", pretrain=section)
    with pytest.raises(FewstepError, match="domain"):
        pretrain(config, tmp_path / "state", tmp_path / "teacher")
    assert not (tmp_path / "state").exists()
