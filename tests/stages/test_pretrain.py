"""Contract: a teacher trained from scratch is a model like any other."""

from pathlib import Path

import pytest
from tiny_run import NETWORK, write_config

from domains.domain import load_domain
from domains.errors import FewstepError
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
    mapping = load_domain("protein").load(tmp_path / "teacher").mapping
    assert bool(mapping.codes["T"]) == ("fold_emb" in features)


def test_section_is_needed(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml")
    with pytest.raises(FewstepError, match="no pretrain section"):
        pretrain(config, tmp_path / "state", tmp_path / "teacher")
    assert not (tmp_path / "state").exists()
