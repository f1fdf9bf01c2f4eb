"""Contract: codes are taken apart as the reference does; what is unknown gets the null row."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domains.errors import FewstepError
from domains.protein.data.cath import (
    LEVELS,
    CathMapping,
    drop_levels,
    level_key,
    mask_from_level,
    mask_level,
    mask_probabilities,
    parse_code,
)

FIELD = st.one_of(st.just("x"), st.integers(1, 999_999).map(str))
CODE = st.lists(FIELD, min_size=4, max_size=4).map(".".join)


@pytest.fixture(scope="module")
def reference(golden: Path) -> dict:
    return json.loads((golden / "protein/misc/cath.json").read_text())


def fold_maps(golden: Path) -> list[dict]:
    metas = [
        json.loads(p.read_text()) for p in sorted((golden / "protein").glob("net_*/meta.json"))
    ]
    return [meta["cath_label_mapping"] for meta in metas if meta.get("cath_label_mapping")]


def test_keys_and_masks_agree_with_the_reference(reference):
    for level in LEVELS:
        assert [level_key(c, level) for c in reference["codes"]] == reference["extract"][level]
        assert [mask_level(c, level) for c in reference["codes"]] == reference["mask"][level]


def test_probabilities_agree_with_the_reference(reference):
    assert reference["ratio_to_mask"]
    for ratios, expected in reference["ratio_to_mask"].items():
        found = mask_probabilities([float(r) for r in ratios.split(",")])
        # The reference adds 1e-10 to its denominators.
        assert found == pytest.approx(expected, abs=1e-8)


@given(CODE)
def test_code_survives_parsing(code):
    assert ".".join(parse_code(code)) == code


@given(CODE, st.sampled_from(LEVELS))
def test_masking_from_a_level_masks_it_and_all_below(code, level):
    masked = code
    for finer in LEVELS[LEVELS.index(level) :]:
        masked = mask_level(masked, finer)
    assert mask_from_level(code, level) == masked


@pytest.mark.parametrize(
    "code", ["", "1", "1.10.8", "1.10.8.10.1", "1.10.8.", "1.10.8.X", "0.1.1.1", "1.-1.8.1",
             " 1.10.8.10", "1.10.8.10\n", "1.10.8.٣"]
)  # fmt: skip
def test_bad_codes_are_errors(code):
    with pytest.raises(FewstepError, match="CATH code"):
        parse_code(code)


def test_unknown_level_is_an_error():
    with pytest.raises(FewstepError, match="level"):
        level_key("1.10.8.10", "S")


@pytest.mark.parametrize(
    "ratios", [[1.0], [0.5, 0.5, 0.5, 0.5], [-0.5, 0.5, 0.5, 0.5], [float("nan"), 0, 0, 1]]
)
def test_bad_ratios_are_errors(ratios):
    with pytest.raises(FewstepError, match="ratios"):
        mask_probabilities(ratios)


@pytest.mark.parametrize(
    "ratios", [(0.5, 0.1, 0.15, 0.25), (0, 0, 0, 1), (1, 0, 0, 0), (0, 1, 0, 0)]
)
def test_dropping_levels_gives_the_shares_asked_for(ratios):
    rng, n = random.Random(0), 4_000
    probabilities = mask_probabilities(ratios)
    found = Counter(drop_levels("1.10.8.10", probabilities, rng) for _ in range(n))
    depths = ("x.x.x.x", "1.x.x.x", "1.10.x.x", "1.10.8.x")
    assert set(found) <= set(depths)
    for code, share in zip(depths, ratios, strict=True):
        # Five standard deviations of a binomial share.
        assert abs(found[code] / n - share) <= 5 * (share * (1 - share) / n) ** 0.5


def test_mapping_finds_known_codes_and_nulls_the_rest(golden):
    for content in fold_maps(golden):
        mapping = CathMapping.from_dict(content)
        null = tuple(len(content[level]) for level in "CAT")
        for key, row in content["T"].items():
            c, a = key.split(".")[0], ".".join(key.split(".")[:2])
            assert mapping.indices(f"{key}.x") == (content["C"][c], content["A"][a], row)
            assert mapping.indices(mask_level(f"{key}.x", "T"))[2] == null[2]
        assert mapping.indices("x.x.x.x") == mapping.indices(None) == null
        assert mapping.indices("999999.1.1.1") == null


def test_mapping_survives_json(tmp_path, golden):
    for content in fold_maps(golden):
        mapping = CathMapping.from_dict(content)
        mapping.write(tmp_path / "cath.json")
        assert CathMapping.read(tmp_path / "cath.json") == mapping
        assert mapping.to_dict() == content


@pytest.mark.parametrize(
    "content",
    [
        [], {}, {"C": {}, "A": {}}, {"C": {"1": 1}, "A": {}, "T": {}},
        {"C": {"1": -1}, "A": {}, "T": {}}, {"C": {"1": 0, "2": 0}, "A": {}, "T": {}},
        {"C": {"1": True}, "A": {}, "T": {}}, {"C": {"1.10": 0}, "A": {}, "T": {}},
        None, {"C": {"1": 0.0}, "A": {}, "T": {}}, {"C": [], "A": {}, "T": {}},
    ],
)  # fmt: skip
def test_bad_mappings_are_errors(content):
    with pytest.raises(FewstepError, match=r"CATH|row"):
        CathMapping.from_dict(content)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00"])
def test_unreadable_mapping_files_are_errors(tmp_path, text):
    (tmp_path / "cath.json").write_text(text)
    with pytest.raises(FewstepError, match="CATH mapping"):
        CathMapping.read(tmp_path / "cath.json")
    with pytest.raises(FewstepError, match="CATH mapping"):
        CathMapping.read(tmp_path / "missing.json")
