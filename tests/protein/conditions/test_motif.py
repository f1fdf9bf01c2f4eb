"""Contract: contigs mean what the reference says; every allowed chain is equally likely."""

import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domains.errors import FewstepError
from domains.protein.conditions.contig import Residue, parse_contig
from domains.protein.conditions.motif import draw_placement

SCAFFOLD = st.tuples(st.integers(0, 6), st.integers(0, 4)).map(lambda p: f"{p[0]}-{p[0] + p[1]}")
CONTIG = st.lists(st.one_of(SCAFFOLD, st.integers(1, 9).map(str)), min_size=1, max_size=4)


def test_draw_agrees_with_the_reference(golden: Path):
    case = json.loads((golden / "protein/misc/contig.json").read_text())
    placement = draw_placement(
        parse_contig(case["contig"]),
        random.Random(case["python_random_seed"]),
        min_length=case["min_length"],
        max_length=case["max_length"],
    )
    assert placement.text == case["out"]
    assert placement.mask.tolist() == case["mask"]
    assert placement.length == case["length"]
    assert placement.indices.tolist() == case["motif_indices"]


@given(CONTIG, st.integers(0, 30), st.integers(0, 12), st.integers(0, 2**32))
def test_draw_is_the_choice_from_all_listed_combinations(pieces, low, width, seed):
    contig_text = "/".join([*pieces, "B7-8"])
    ranges = [[int(n) for n in piece.split("-")] for piece in pieces]
    lengths = [range(r[0], r[-1] + 1) for r in ranges]
    allowed = [c for c in itertools.product(*lengths) if low <= sum(c) + 2 <= low + width]
    contig, rng = parse_contig(contig_text), random.Random(seed)
    if not allowed:
        with pytest.raises(FewstepError, match="no chain fits"):
            draw_placement(contig, rng, min_length=low, max_length=low + width)
        return
    placement = draw_placement(contig, rng, min_length=low, max_length=low + width)
    chosen = random.Random(seed).choice(allowed)
    n = sum(chosen)
    assert placement.text == "/".join([*map(str, chosen), f"B{n + 1}-{n + 2}"])
    assert placement.mask.tolist() == [False] * n + [True] * 2
    assert low <= placement.length <= low + width


def test_every_combination_is_equally_likely():
    contig, rng, n = parse_contig("0-2/A1/0-2"), random.Random(3), 2000
    found = Counter(draw_placement(contig, rng, min_length=2, max_length=4).text for _ in range(n))
    assert len(found) == 7
    assert all(abs(count / n - 1 / 7) < 5 * (6 / 49 / n) ** 0.5 for count in found.values())


def test_drawn_text_is_a_contig_of_the_same_chain():
    placement = draw_placement(parse_contig("3-9/B38/5/A14-16"), random.Random(0))
    again = draw_placement(parse_contig(placement.text), random.Random(1))
    assert again.text == placement.text and (again.mask == placement.mask).all()
    assert placement.residues == (
        *(Residue("B", 38), Residue("A", 14)),
        *(Residue("A", 15), Residue("A", 16)),
    )


def test_astronomically_many_combinations_are_counted_not_listed():
    contig = parse_contig("/".join(f"0-99/A{i}" for i in range(1, 41)))
    placement = draw_placement(contig, random.Random(0), min_length=300, max_length=310)
    assert 300 <= placement.length <= 310 and placement.mask.sum() == 40


@pytest.mark.parametrize(
    "text", ["", "/", "10-", "-10", "10/", "A", "A-", "ABCDE5", "5A", ":5", "A:", "A1:", "A5:",
             "A-5-", "A5--3", "A5-B7", "A5AB", "A5 A", "A/B:5", "__5", "A-100000", "H111A-H113",
             "10-5", "A9-3", "1.5", " 5", "5 ", "5\n", "A5/A5", "A3-7/9/A7", "0", "999999", "99999",
             "A1-99999", "1-99999", "٣", "/".join(["1"] * 1000)]
)  # fmt: skip
def test_bad_contigs_are_errors(text):
    with pytest.raises(FewstepError, match="bad contig"):
        parse_contig(text)


WRITTEN: dict[str, list[str]] = {
    "A-5": ["A-5"],
    "A-1-1": ["A-1", "A0", "A1"],
    "A-3--2": ["A-3", "A-2"],
    "_14-15": ["_14", "_15"],
    "AA14": ["AA14"],
    "abcD-1": ["abcD-1"],
    "1:14-15": ["1:14", "1:15"],
    "A-2:-4": ["A-2:-4"],
    "A:7": ["A7"],
    "_:7": ["_:7"],
    "H111A": ["H111A"],
    "H111A-112/H112A": ["H111A", "H112", "H112A"],
}


@pytest.mark.parametrize(("text", "residues"), WRITTEN.items(), ids=WRITTEN)
def test_residues_are_written_as_files_name_them(text: str, residues: list[str]):
    contig = parse_contig(f"3/{text}/5")
    found = [residue for part in contig.parts for residue in part.residues]
    assert [str(residue) for residue in found] == residues
    assert [parse_contig(one).parts[0].first for one in residues] == found
    placement = draw_placement(contig, random.Random(0))
    assert parse_contig(placement.text).lengths == (len(found) + 8, len(found) + 8)


@given(st.text(alphabet="AB0159-/ x_:", max_size=14))
def test_any_text_is_a_contig_or_an_error(text):
    try:
        contig = parse_contig(text)
    except FewstepError:
        return
    assert 0 <= contig.lengths[0] <= contig.lengths[1]


@pytest.mark.parametrize(("low", "high"), [(50, 60), (1, 5), (20, 10), (-5, -1)])
def test_impossible_lengths_are_errors(low, high):
    with pytest.raises(FewstepError, match="no chain fits"):
        draw_placement(
            parse_contig("5-9/A1/5-9"), random.Random(0), min_length=low, max_length=high
        )
