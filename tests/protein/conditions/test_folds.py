"""Contract: a fold class that is asked for reaches the model, the file and the judges."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import NETWORK, content, save_teacher

from domains.batch import Batch, Request, Sample
from domains.config import parse_config
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.protein.conditions.folds import MatchedDomains, agree, code_to_level, full_code
from domains.protein.data.cath import CathMapping, parse_code
from domains.protein.data.dataset import load_domains
from domains.protein.field import FIELD
from domains.protein.metrics.folds.fold_judge import ContentJudge
from domains.protein.metrics.geometry import secondary_structure
from domains.protein.settings import ProteinEvaluate, ProteinGenerate, ProteinPretrain

PLAN = ProteinGenerate(lengths=(60, 64), per_length=4, fold=("1", "2.60"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    return FIELD.load(save_teacher(tmp_path_factory.mktemp("teacher")))


@pytest.mark.parametrize(
    ("asked", "found", "right"),
    [
        ("1.x.x.x", "1.10.8.10", True),
        ("1.10.x.x", "1.10.8.10", True),
        ("1.20.x.x", "1.10.8.10", False),
        ("1.10.8.x", "1.10.8.x", True),
        ("2.x.x.x", "1.10.8.10", False),
    ],
)
def test_a_code_agrees_as_far_as_it_goes(asked: str, found: str, right: bool) -> None:
    assert agree(asked, found) is right


def test_short_codes_are_completed_and_wrong_ones_refused() -> None:
    assert [full_code(code) for code in ("1", "2.60", "3.30.70")] == [
        "1.x.x.x",
        "2.60.x.x",
        "3.30.70.x",
    ]
    assert [code_to_level("1.10.8.10", level) for level in "CAT"] == [
        "1.x.x.x",
        "1.10.x.x",
        "1.10.8.x",
    ]
    for wrong in ("0", "1.", "x", "1.10.8.10", "1;rm", "-1", "1.010"):
        with pytest.raises(FewstepError, match=r"generate\.fold"):
            parse_config(content(generate={"fold": [wrong]}))


def test_every_length_is_asked_for_every_class() -> None:
    asked = [(PLAN.size(k), PLAN.fold_of(k)) for k in range(PLAN.count)]
    assert sorted(asked) == sorted(2 * [(n, code) for n in (60, 64) for code in ("1", "2.60")])
    assert PLAN.request_key(0) == (0, 60, "1") and ProteinGenerate(lengths=(60,)).request_key(
        0
    ) == (0, 60)


def test_the_model_is_told_and_must_know_the_class(teacher: torch.nn.Module) -> None:
    requests = FIELD.requests(PLAN, [0, 2], teacher, 0)
    assert [r.condition for r in requests if isinstance(r, Request)] == [
        {"cath_code": ("1.x.x.x",)},
        {"cath_code": ("2.60.x.x",)},
    ]
    batch = FIELD.blank(requests)  # type: ignore[arg-type]
    noisy, time = torch.randn(batch.shape), torch.tensor([0.5, 0.5])
    plain = FIELD.unconditional(teacher)(noisy, time, batch)  # type: ignore[arg-type]
    assert not torch.allclose(teacher(noisy, time, batch), plain)
    with pytest.raises(FewstepError, match=r"no fold class 9.*one of 1, 2"):
        FIELD.requests(PLAN.model_copy(update={"fold": ("9",)}), [0], teacher, 0)


def test_a_forgotten_class_is_told_to_the_teacher_as_another(teacher: torch.nn.Module) -> None:
    codes = [["1.x.x.x"], ["1.10.x.x"], ["1.20.x.x"], ["2.60.x.x"], [], ["3.x.x.x", "1.10.8.x"]]
    mask = torch.ones(len(codes), 4, dtype=torch.bool)
    batch = Batch(mask, condition={"cath_code": codes, "other": 3})
    known = {"1": [0, 1, 2, 5], "1.10": [1, 5]}
    for forget, rows in known.items():
        for instead, label in (("2.60", ["2.60.x.x"]), (None, [])):
            found, told = FIELD.overriding(teacher, forget, instead)(batch)
            assert torch.nonzero(found)[:, 0].tolist() == rows and told.condition["other"] == 3
            expected = [label if row in rows else code for row, code in enumerate(codes)]
            assert told.condition["cath_code"] == expected
    found, told = FIELD.overriding(teacher, "1", "2")(Batch(mask))
    assert not found.any()
    noisy, time = torch.randn(told.shape), torch.full((len(codes),), 0.5)
    torch.testing.assert_close(teacher(noisy, time, told), teacher(noisy, time, Batch(mask)))


@pytest.mark.parametrize(("forget", "instead"), [("9", None), ("1", "9")])
def test_a_class_that_the_teacher_does_not_know_is_not_forgotten(
    teacher: torch.nn.Module, forget: str, instead: str | None
) -> None:
    with pytest.raises(FewstepError, match="no fold class 9"):
        FIELD.overriding(teacher, forget, instead)


def test_a_model_without_classes_says_so() -> None:
    features = {"feats_cond_seq": ["time_emb"]}
    made = FIELD.new(ProteinPretrain(network=NETWORK | features, fit={"steps": 1}), 0)  # type: ignore[arg-type]
    with pytest.raises(FewstepError, match="it has no classes"):
        FIELD.requests(PLAN, [0], made, 0)


def test_students_are_told_classes_of_their_lengths(teacher: torch.nn.Module) -> None:
    section = parse_config(content(students={"student": {"fold": "A", "batch_size": 60}}))
    student = section.students["student"]
    found = FIELD.training_requests(student, teacher, Draws(("asked",)))
    codes = [request.condition.get("cath_code", (None,))[0] for request in found]
    assert 1 <= codes.count(None) <= 15
    domains = load_domains().subset("train", 40, 44)
    known = {code_to_level(code, "A") for code in domains.cath}
    assert {code for code in codes if code} <= known and len(set(codes)) > 5
    assert [r.size for r in found] == [
        r.size
        for r in FIELD.training_requests(
            student.model_copy(update={"fold": None}), teacher, Draws(("asked",))
        )
    ]


def test_students_are_told_as_much_as_the_shares_say(teacher: torch.nn.Module) -> None:
    shares = [0.4, 0.3, 0.2, 0.1]
    section = parse_config(content(students={"student": {"fold": shares, "batch_size": 1000}}))
    found = FIELD.training_requests(section.students["student"], teacher, Draws(("shares",)))
    codes = [request.condition.get("cath_code", ("x.x.x.x",))[0] for request in found]
    depths = [sum(field != "x" for field in parse_code(code)) for code in codes]
    for depth, share in enumerate(shares):
        # Five standard deviations of a binomial share.
        bound = 5 * (share * (1 - share) / 1000) ** 0.5
        assert depths.count(depth) / 1000 == pytest.approx(share, abs=bound)


@pytest.mark.parametrize("fold", [None, "C", "T", (0.25, 0.25, 0.25, 0.25)])
def test_real_data_can_not_be_told_by_length_or_class(teacher: torch.nn.Module, fold) -> None:
    settings = {"fold": fold, "batch_size": 40, "lengths": {"low": 40, "high": 80}}
    student = parse_config(content(students={"student": settings})).students["student"]
    draws = Draws(("real",))
    asked = FIELD.blank(FIELD.training_requests(student, teacher, draws))
    real = FIELD.examples(student, teacher)(draws)
    assert real.points is not None and (asked.sizes - real.sizes).abs().max() <= 2
    assert real.condition == asked.condition
    domains = load_domains().subset("train", 40, 80)
    sizes = np.linalg.norm(domains.coordinates, axis=1)
    known = np.split(sizes, domains.offsets[1:])
    drawn = set()
    for row, codes in enumerate(real.condition.get("cath_code", [[]] * 40)):
        own = real.points[row][real.mask[row]].norm(dim=1).numpy()
        (found,) = [k for k, one in enumerate(known) if len(one) == len(own)
                    and np.allclose(one, own, atol=1e-4)]  # fmt: skip
        assert all(agree(code, domains.cath[found]) for code in codes)
        drawn.add(found)
    assert len(drawn) > 30


def test_classes_that_the_teacher_does_not_know_are_not_told() -> None:
    domains = load_domains().subset("train", 40, 80)
    rows = {"C": {"1": 0, "2": 1}, "A": {"1.10": 0}, "T": {}}
    source = MatchedDomains(domains, CathMapping.from_dict(rows), "T")
    drawn = {source.label(60, choice) for choice in range(2000)}
    assert drawn == {None, "1.x.x.x", "1.10.x.x", "2.x.x.x"}
    empty = CathMapping.from_dict({level: {} for level in "CAT"})
    with pytest.raises(FewstepError, match="no fold class of the data"):
        MatchedDomains(domains, empty, "C")


def test_a_source_draws_from_the_nearest_lengths() -> None:
    domains = load_domains().subset("train", 40, 80)
    source = MatchedDomains(domains, CathMapping.from_dict({x: {} for x in "CAT"}), None)
    sizes = {int(domains.lengths[source.index(50, choice)]) for choice in range(0, 4000, 10)}
    assert sizes <= set(range(48, 53)) and len(sizes) > 2
    assert domains.lengths[source.index(500, 10)] >= 78


def test_the_file_says_what_was_asked(tmp_path: Path) -> None:
    points = torch.randn(12, 3)
    for name, condition in (("asked", {"cath_code": ("1.10.x.x",)}), ("plain", {})):
        FIELD.write(Sample(name, points, condition), tmp_path, {})
        again = FIELD.read(tmp_path / f"{name}.pdb")
        assert again.condition == condition
        torch.testing.assert_close(again.points, points, atol=1e-4, rtol=0)
    lines = (tmp_path / "asked.pdb").read_text().splitlines()
    assert lines[0].rstrip() == "REMARK  99 CATH 1.10.x.x" and len(lines[0]) == 80
    assert lines[1:] == (tmp_path / "plain.pdb").read_text().splitlines()


def test_natives_are_of_the_class_asked_for() -> None:
    domains = load_domains()
    code_of = dict(zip(domains.ids, domains.cath, strict=True))
    natives = FIELD.held_out(PLAN, range(PLAN.count), 0)
    assert len({native.name for native in natives.values()}) == len(natives) == PLAN.count
    for number, native in natives.items():
        assert agree(full_code(PLAN.fold_of(number) or ""), code_of[native.name])


def test_judges_know_natives_from_natives_of_other_classes() -> None:
    """Asked for what they are, and for what they are not."""
    plan = ProteinGenerate(lengths=(70,), per_length=24, fold=("1", "2"))
    natives = list(FIELD.held_out(plan, range(24), 0).values())
    config = ProteinEvaluate(proxy=False, novelty_shortlist=5, diversity=False)
    shares = {}
    for name, swap in (("right", {"1": "1", "2": "2"}), ("wrong", {"1": "2", "2": "1"})):
        asked = [
            Sample(
                s.name, s.points, {"cath_code": (f"{swap[s.condition['cath_code'][0][0]]}.x.x.x",)}
            )
            for s in natives
        ]
        found = FIELD.evaluate(asked, config, 0, None)
        assert {"asked_class", "asked_fold"} <= set(found.metrics)
        assert list(found.samples["asked"]) == [s.condition["cath_code"][0] for s in asked]
        shares[name] = found.samples[["asked_class", "asked_fold"]].mean()
    assert (shares["right"] > 0.7).all() and (shares["wrong"] < 0.2).all(), shares


def test_nothing_asked_is_nothing_judged() -> None:
    natives = list(FIELD.held_out(ProteinGenerate(lengths=(60,)), range(1), 0).values())
    config = ProteinEvaluate(proxy=False, novelty_shortlist=5, diversity=False)
    found = FIELD.evaluate(natives, config, 0, None)
    assert not {"asked_class", "asked_fold"} & set(found.metrics)


def test_content_judge_on_held_out_domains() -> None:
    train, test = (load_domains().subset(split, 50, 90) for split in ("train", "test"))

    def contents(domains):
        rows = [secondary_structure.describe(domains.points(k)) for k in range(0, len(domains), 5)]
        codes = [domains.cath[k] for k in range(0, len(domains), 5)]
        return np.array([[row["helix"], row["strand"]] for row in rows]), codes

    judge = ContentJudge(*contents(train))
    shares, codes = contents(test)
    right = [
        judge.judge(*share) == parse_code(code)[0]
        for share, code in zip(shares, codes, strict=True)
        if code[0] in "12"
    ]
    assert np.mean(right) > 0.7
