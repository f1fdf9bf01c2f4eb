"""Contract: of many comparisons that have nothing to find, few studies find anything."""

import math

import numpy as np
import pytest

from domains.evaluation.statistics.difference import Comparison, judged
from domains.evaluation.statistics.multiplicity import corrected, holm
from domains.evaluation.statistics.sets import Metric

HIGHER = Metric("Goodness", "", "higher", same_within=0.1)


def test_holm_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_what_was_not_tested_does_not_count() -> None:
    first, second, third = holm([math.nan, 0.02, 0.03])
    assert math.isnan(first) and (second, third) == pytest.approx((0.04, 0.04))


def test_the_chance_of_any_false_finding_is_kept() -> None:
    rng = np.random.default_rng(0)
    any_raw = any_holm = 0
    for _ in range(400):
        values = rng.uniform(size=20)
        any_raw += bool((values < 0.05).any())
        any_holm += min(holm(list(values))) < 0.05
    assert any_raw > 200 and any_holm < 0.09 * 400


def test_verdicts_are_those_of_corrected_values() -> None:
    found = Comparison(0.5, 0.1, 0.9, "better", 0.02, 1.0)
    alike = Comparison(0.0, -0.05, 0.05, "equal", 0.9, 0.001)
    alone = corrected({0: (found, HIGHER)})[0]
    assert alone == found
    family = {k: (found, HIGHER) for k in range(5)} | {9: (alike, HIGHER)}
    verdicts = {key: one.verdict for key, one in corrected(family).items()}
    assert verdicts == {**dict.fromkeys(range(5), "same"), 9: "equal"}
    assert corrected(family)[0].low == 0.1
    unknown = Comparison(math.nan, math.nan, math.nan, "n/a")
    assert judged(unknown, HIGHER, math.nan, math.nan).verdict == "n/a"
