"""Contract: a teacher trained from scratch is a model like any other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from protein.packed_sets import built
from tiny_run import NETWORK, write_config

from domains.errors import FewstepError
from domains.field import load_field
from domains.protein.data.dataset import save_domains
from domains.stages.generate import generate
from domains.stages.prepare import prepare
from domains.stages.pretrain import pretrain


@pytest.mark.parametrize("features", [["time_emb", "fold_emb"], ["time_emb"]], ids=len)
def test_teacher_is_trained_and_sampled(tmp_path: Path, features: list[str]) -> None:
    section = {
        "network": NETWORK | {"feats_cond_seq": features},
        "lengths": {"low": 40, "high": 44},
        "residues_per_batch": 100,
        "fit": {"steps": 2},
    }
    config = write_config(tmp_path / "c.yaml", teacher="pretrain", pretrain=section)
    pretrain(config, tmp_path / "state", tmp_path / "teacher")
    prepare(str(tmp_path / "teacher"), tmp_path / "again")
    generate(config, "naive", 0, tmp_path / "shard", tmp_path / "again")
    assert len(list((tmp_path / "shard").glob("*.pdb"))) == 2
    mapping = load_field("protein").load(tmp_path / "teacher").mapping
    assert bool(mapping.codes["T"]) == ("fold_emb" in features)


def test_section_is_needed(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml")
    with pytest.raises(FewstepError, match="no pretrain section"):
        pretrain(config, tmp_path / "state", tmp_path / "teacher")
    assert not (tmp_path / "state").exists()


def test_training_goes_on_from_a_model_of_its_architecture_only(tmp_path: Path) -> None:
    section = {
        "network": NETWORK,
        "lengths": {"low": 40, "high": 44},
        "residues_per_batch": 100,
        "optimiser": {"rate": 1e-9},
        "fit": {"steps": 1, "ema": 0.0},
    }
    config = write_config(tmp_path / "a.yaml", teacher="pretrain", pretrain=section)
    pretrain(config, tmp_path / "state", tmp_path / "first")
    more = section | {"start": str(tmp_path / "first")}
    pretrain(
        write_config(tmp_path / "b.yaml", seed=1, teacher="pretrain", pretrain=more),
        tmp_path / "state_b",
        tmp_path / "second",
    )
    first, second = (load_field("protein").load(tmp_path / name) for name in ("first", "second"))
    for ours, theirs in zip(second.parameters(), first.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    wider = more | {"network": NETWORK | {"token_dim": 2 * NETWORK["token_dim"]}}
    other = write_config(tmp_path / "c.yaml", teacher="pretrain", pretrain=wider)
    with pytest.raises(FewstepError, match=r"pretrain\.start"):
        pretrain(other, tmp_path / "state_c", tmp_path / "third")


def test_data_without_labels_keep_the_classes_of_the_start(tmp_path: Path) -> None:
    section = {
        "network": NETWORK | {"feats_cond_seq": ["time_emb", "fold_emb"]},
        "lengths": {"low": 4, "high": 8},
        "residues_per_batch": 16,
        "fit": {"steps": 1},
    }
    labelled, bare = built([6, 6, 6, 8]), built([5, 7])
    labelled |= {"cath": np.array([f"1.10.{k}.10" for k in (1, 2, 3, 4)])}
    bare |= {"cath": np.array(["x.x.x.x"] * 2), "split": np.zeros(2, dtype=np.int8)}
    classes = []
    for name, chains in (("first", labelled), ("second", bare)):
        save_domains(tmp_path / f"{name}.npz", chains)
        data = {"path": str(tmp_path / f"{name}.npz")}
        start = {"start": str(tmp_path / "first")} if name == "second" else {}
        config = write_config(
            tmp_path / f"{name}.yaml", teacher="pretrain", data=data, pretrain=section | start
        )
        pretrain(config, tmp_path / f"state_{name}", tmp_path / name)
        model = load_field("protein").load(tmp_path / name)
        classes.append((model.network.fold_classes, model.mapping.codes))
    assert classes[0] == classes[1] and classes[0][0][2] > 0
