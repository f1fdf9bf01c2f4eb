"""Contract: classes are drawn as they occur at a sample's length, by its number, told as asked."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import NETWORK, content, save_teacher

from domains.batch import Request, Sample
from domains.config import parse_config
from domains.errors import FewstepError
from domains.protein.conditions.folds import code_to_level
from domains.protein.conditions.joint import JointDistribution
from domains.protein.data.cath import parse_code
from domains.protein.data.dataset import load_domains
from domains.protein.field import FIELD
from domains.protein.settings import FoldDistribution, ProteinGenerate, ProteinPretrain

SHARES = (0.5, 0.1, 0.15, 0.25)
PAIRS = [[50, ["1.10.8.10"]], [74, ["2.60.40.10"]], [75, ["3.30.70.x", "3.40.50.1"]], [90, []]]


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def plan(**changes: Any) -> ProteinGenerate:
    fold = FoldDistribution.model_validate({"distribution": "cath"} | changes)
    return ProteinGenerate(lengths=(60, 80), per_length=100, fold=fold)


def told(
    plan: ProteinGenerate, model: torch.nn.Module, numbers: range, seed: int = 0
) -> list[tuple]:
    """Codes that samples are asked for."""
    found = FIELD.requests(plan, numbers, model, seed)
    return [one.condition.get("cath_code", ()) for one in found if isinstance(one, Request)]


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    """A network that knows all classes of the data."""
    settings: dict[str, Any] = {"lengths": {"low": 1, "high": 10_000}, "fit": {"steps": 1}}
    return FIELD.new(ProteinPretrain(network=NETWORK, **settings), 0)


def test_a_file_gives_the_codes_of_a_lengths_bucket(tmp_path: Path) -> None:
    joint = JointDistribution.read(saved(tmp_path / "d.pth", PAIRS))
    stream = random.Random(0)
    drawn = {size: {joint.draw(size, stream) for _ in range(50)} for size in (1, 60, 75, 90, 800)}
    short, long = {("1.10.8.10",), ("2.60.40.10",)}, {("3.30.70.x", "3.40.50.1")}
    assert drawn == {1: short, 60: short, 75: long, 90: long, 800: long}


def test_entries_may_be_strings_and_tuples(tmp_path: Path) -> None:
    joint = JointDistribution.read(saved(tmp_path / "d.pth", [(60, "1.10"), (60, ("1.10.8.x",))]))
    found = {joint.draw(60, random.Random(k)) for k in range(20)}
    assert found == {("1.10.x.x",), ("1.10.8.x",)}


@pytest.mark.parametrize(
    "content",
    [
        {}, [], [[60, []]], [60], [[60, "1.10", 3]], [["60", "1.10"]], [[0, "1.10"]],
        [[60, [1]]], [[60, "a.b"]], [[60, None]], [[60.5, "1.10"]],
    ],
    ids=str,
)  # fmt: skip
def test_other_files_are_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(FewstepError, match=r"fold classes"):
        JointDistribution.read(saved(tmp_path / "d.pth", content))
    with pytest.raises(FewstepError, match="no file"):
        JointDistribution.read(tmp_path / "none.pth")


def test_own_data_give_the_classes_of_their_lengths(model: torch.nn.Module) -> None:
    train = load_domains().subset("train")
    pairs = list(zip(train.lengths.tolist(), train.cath, strict=True))
    found = told(plan(), model, range(2000))
    for low, high, codes in ((0, 75, found[::2]), (75, 100, found[1::2])):
        inside = [code for n, code in pairs if low <= n < high]
        assert {code for (code,) in codes} <= {code_to_level(code, "T") for code in inside}
        share = Counter(code[0] for code in inside)
        drawn = Counter(code[0] for (code,) in codes)
        for name, count in share.items():
            # Five standard deviations of a binomial share of 1,000.
            expected = count / len(inside)
            bound = 5 * (expected * (1 - expected) / 1000) ** 0.5
            assert drawn[name] / 1000 == pytest.approx(expected, abs=bound)


def test_a_sample_is_asked_by_seed_and_number(model: torch.nn.Module) -> None:
    whole = told(plan(told=list(SHARES)), model, range(40))
    assert told(plan(told=list(SHARES)), model, range(20, 30)) == whole[20:30]
    assert told(plan(told=list(SHARES)), model, range(40), seed=1) != whole


@pytest.mark.parametrize("level", ["C", "A", "T"])
def test_levels_are_told(model: torch.nn.Module, level: str) -> None:
    depths = {sum(field != "x" for field in parse_code(code)) for (code,) in
              told(plan(told=level), model, range(50))}  # fmt: skip
    assert depths == {"CAT".index(level) + 1}


def test_shares_of_samples_are_told_less(model: torch.nn.Module) -> None:
    found = told(plan(told=list(SHARES)), model, range(2000))
    depths = Counter(sum(f != "x" for f in parse_code(c[0])) if c else 0 for c in found)
    for depth, share in enumerate(SHARES):
        bound = 5 * (share * (1 - share) / 2000) ** 0.5
        assert depths[depth] / 2000 == pytest.approx(share, abs=bound)


@pytest.mark.parametrize("mode", ["sample", "average", "transformer"])
def test_several_labels_reach_the_network(tmp_path: Path, mode: str) -> None:
    """A network that keeps one of them is given one, drawn by the sample's number."""
    settings: dict[str, Any] = {"multilabel_mode": mode, "fold_emb_dim": 4}
    model = FIELD.load(save_teacher(tmp_path / "teacher", **settings)).eval()
    known = sorted(model.mapping.codes["T"])[:2]
    file = saved(tmp_path / "d.pth", [[60, [f"{code}.1" for code in known]]])
    found = told(plan(distribution=str(file)), model, range(40))
    both = tuple(f"{code}.x" for code in known)
    expected = {both[:1], both[1:]} if mode == "sample" else {both}
    assert set(found) == expected
    requests = FIELD.requests(plan(distribution=str(file)), range(2), model, 0)
    batch = FIELD.blank(requests)  # type: ignore[arg-type]
    noisy, time = torch.randn(batch.shape), torch.full((2,), 0.5)
    with torch.no_grad():
        plain = FIELD.unconditional(model)(noisy, time, batch)  # type: ignore[arg-type]
        assert not torch.allclose(model(noisy, time, batch), plain)


def test_files_say_all_classes_that_were_asked(tmp_path: Path) -> None:
    asked = {"cath_code": ("1.10.x.x", "3.x.x.x")}
    FIELD.write(Sample("a", torch.randn(12, 3), asked), tmp_path, {})
    assert FIELD.read(tmp_path / "a.pdb").condition == asked


def test_natives_are_asked_for_their_own_class() -> None:
    classes = dict(zip(load_domains().ids, load_domains().cath, strict=True))
    natives = FIELD.held_out(plan(told=[0, 0.5, 0.5, 0]), range(40), 0)
    assert len(natives) == 40
    depths = set()
    for native in natives.values():
        (code,) = native.condition["cath_code"]
        fields = [f for f in parse_code(code) if f != "x"]
        assert parse_code(classes[native.name])[: len(fields)] == tuple(fields)
        depths.add(len(fields))
    assert depths == {1, 2}


def test_models_that_know_no_class_are_refused(tmp_path: Path) -> None:
    path = save_teacher(tmp_path / "plain", feats_cond_seq=["time_emb"])
    with pytest.raises(FewstepError, match="knows no fold classes"):
        FIELD.requests(plan(), [0], FIELD.load(path), 0)


@pytest.mark.parametrize(
    "fold",
    [{}, {"distribution": ""}, {"distribution": "cath", "told": "H"},
     {"distribution": "cath", "told": [0.5, 0.5]},
     {"distribution": "cath", "told": [0.5, 0.5, 0.5, 0]}],
    ids=str,
)  # fmt: skip
def test_wrong_settings_are_refused(fold: dict) -> None:
    with pytest.raises(FewstepError, match=r"generate\.fold"):
        parse_config(content(generate={"fold": fold}))


def test_the_workflow_waits_for_the_file_and_sees_the_settings() -> None:
    ours, file = plan(), plan(distribution="d.pth", told="C")
    assert ours.files == [] and file.files == ["d.pth"]
    assert ours.request_key(0) == (0, 60, "cath", "T") and file.request_key(1) == (
        1,
        80,
        "d.pth",
        "C",
    )
