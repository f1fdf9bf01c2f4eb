"""Contract: what is particular to proteins; what every domain does is in test_domain_contract."""

from pathlib import Path

import pytest
import torch
from tiny_run import NETWORK, content, save_teacher

from domains.batch import Request, Sample
from domains.config import parse_config
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.files.model_files import write_model
from domains.protein.denoiser import ProteinaDenoiser
from domains.protein.field import FIELD
from domains.protein.settings import ProteinGenerate, ProteinPretrain


def pretrain(**changes) -> ProteinPretrain:
    return ProteinPretrain.model_validate({"network": NETWORK | changes, "fit": {"steps": 1}})


def test_new_teacher_knows_the_folds_of_its_data() -> None:
    mapping = FIELD.new(pretrain(), 0).mapping
    assert set(mapping.codes["C"]) >= {"1", "2", "3"}
    for level in "CAT":
        assert sorted(mapping.codes[level].values()) == list(range(mapping.classes[level]))


def test_teacher_without_fold_labels_has_no_mapping(tmp_path: Path) -> None:
    network = FIELD.new(pretrain(feats_cond_seq=["time_emb"]), 0)
    assert not any(network.mapping.codes[level] for level in "CAT")
    FIELD.save(network, tmp_path)
    FIELD.load(tmp_path)


def test_motif_models_are_not_centred() -> None:
    model = FIELD.new(pretrain(), 0)
    assert FIELD.process(model).centring == "masked"
    model.motif = True
    assert FIELD.process(model).centring == "none"


def test_blank_carries_labels_only_when_given() -> None:
    assert "cath_code" not in FIELD.blank([Request("a", 3), Request("b", 5)]).condition
    labelled = Request("a", 3, {"cath_code": ["1.10.8.10"]})
    batch = FIELD.blank([labelled, Request("b", 5)])
    assert batch.condition["cath_code"] == [["1.10.8.10"], []]
    assert batch.mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]


def test_held_out_data_have_about_the_sizes_asked_for() -> None:
    sizes = [45, 60, 75, 90]
    plan = ProteinGenerate(lengths=tuple(sizes))
    found = FIELD.held_out(plan, range(4), 0)
    assert all(abs(len(found[k].points) - n) <= 2 for k, n in enumerate(sizes))
    assert FIELD.held_out(plan, [2], 0)[2].name == found[2].name
    assert FIELD.held_out(plan, [0], 1)[0].name != found[0].name


def test_batches_hold_domains_of_their_lengths() -> None:
    config = ProteinPretrain.model_validate(
        {
            "network": NETWORK,
            "lengths": {"low": 40, "high": 44},
            "residues_per_batch": 100,
            "fit": {"steps": 1},
        }
    )
    batches = FIELD.training_batches(config, 0)
    first, again = batches(0, None), batches(0, None)  # type: ignore[arg-type]
    assert torch.equal(first.points, again.points)
    assert ((first.sizes >= 40) & (first.sizes <= 44)).all()


def test_file_needs_an_architecture(tmp_path: Path) -> None:
    model = ProteinaDenoiser.load(save_teacher(tmp_path / "a"))
    torch.save(dict(model.network.state_dict()), tmp_path / "weights.pt")
    with pytest.raises(FewstepError, match="--architecture"):
        FIELD.prepare(tmp_path / "weights.pt", tmp_path / "b", {})
    network = model.network.config.model_dump(mode="json")
    FIELD.prepare(tmp_path / "weights.pt", tmp_path / "b", {"network": network})
    loaded = FIELD.load(tmp_path / "b").network.state_dict()
    assert all(torch.equal(v, loaded[k]) for k, v in model.network.state_dict().items())


def test_nan_is_not_written(tmp_path: Path) -> None:
    sample = Sample("x", torch.full((5, 3), float("nan")))
    with pytest.raises(FewstepError, match="finite"):
        FIELD.write(sample, tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_model_without_network_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, {"a": torch.zeros(1)}, {})
    with pytest.raises(FewstepError):
        FIELD.load(tmp_path)


def test_decoys_are_of_six_kinds_and_repeat_with_their_seed() -> None:
    plan = ProteinGenerate(lengths=(50, 60), per_length=3)
    made = list(FIELD.decoys(plan, range(6), 0).values())
    kinds = [sample.name.partition("_")[0] for sample in made]
    assert kinds == ["noised", "mirrored", "torsions", "segments", "coil", "globule"]
    natives = list(FIELD.held_out(plan, range(6), 0).values())
    assert [len(m.points) for m in made] == [len(n.points) for n in natives]
    repeated = FIELD.decoys(plan, range(6), 0).values()
    for ours, again, native in zip(made, repeated, natives, strict=True):
        assert torch.equal(ours.points, again.points)
        assert not torch.allclose(ours.points, native.points)


def test_blocks_of_lengths_keep_each_length_as_frequent() -> None:
    lengths = {"low": 40, "high": 49, "block": 4}
    section = parse_config(content(students={"student": {"lengths": lengths, "batch_size": 5}}))
    student, model = section.students["student"], FIELD.new(pretrain(), 0)
    counts = dict.fromkeys(range(40, 50), 0)
    for number in range(1500):
        sizes = [r.size for r in FIELD.training_requests(student, model, Draws((number,)))]
        assert len({(size - 40) // 4 for size in sizes}) == 1
        for size in sizes:
            counts[size] += 1
    shares = [count / 7500 for count in counts.values()]
    assert max(shares) < 0.12 and min(shares) > 0.08
