"""Contract: a gate counts what reaches it; hours are of all work; memory does not grow."""

from itertools import pairwise

import pytest

from domains.evaluation.screening.funnel import DISTINCT, Funnel


def row(gate: str = "", failed: str = "", a: float = 1.0, b: float = 2.0) -> dict[str, str]:
    seconds = {"a_seconds": str(a), "b_seconds": "" if gate == "a" else str(b)}
    return {"gate": gate, "failed": failed, "sampling_seconds": "10", **seconds}


def test_counts_and_hours() -> None:
    funnel = Funnel(["a", "b", DISTINCT])
    for one in (row("a", "x"), row("a", "y"), row("a", "x"), row("b", "z"), row(), row()):
        funnel.add(one)
    funnel.compare(same=False, seconds=100)
    funnel.keep()
    funnel.compare(same=True, seconds=200)
    facts = funnel.facts()
    assert [(g["seen"], g["passed"]) for g in facts["gates"]] == [(6, 3), (3, 2), (2, 1)]
    assert facts["gates"][0]["failed"] == {"x": 2, "y": 1}
    assert [g["seconds"] for g in facts["gates"]] == [6, 6, 300]
    assert facts["kept"] == 1 and facts["sampling_seconds"] == 60
    assert facts["hours"] == pytest.approx((60 + 6 + 6 + 300) / 3600)
    assert facts["kept_per_hour"] == pytest.approx(3600 / 372)


def test_without_work_nothing_is_divided() -> None:
    facts = Funnel(["a"]).facts()
    assert facts["kept_per_hour"] is None and facts["curve"] == [(0, 0.0, 0)]


@pytest.mark.parametrize("count", [1, 5, 127, 128, 1000, 10_001])
def test_the_curve_stays_short_and_ends_at_the_end(count: int) -> None:
    funnel = Funnel(["a", "b"])
    for _ in range(count):
        funnel.add(row())
        funnel.keep()
        funnel.mark()
    curve = funnel.facts()["curve"]
    assert len(curve) <= 129 and curve[-1][0] == curve[-1][2] == count
    steps = {b[0] - a[0] for a, b in pairwise(curve[:-1])}
    assert len(steps) <= 1
    assert curve[-1][1] == pytest.approx(count * 13 / 3600)
