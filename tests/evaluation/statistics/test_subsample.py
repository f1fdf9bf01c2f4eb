"""Contract: a draw depends on names and seed only, so sets of one run share it."""

import numpy as np

from domains.evaluation.statistics.subsample import drawn

NAMES = [f"sample_{k:04d}" for k in range(300)]


def picked(names: list[str], most: int | None, seed: int = 0) -> set[str]:
    return {name for name, chosen in zip(names, drawn(names, most, seed), strict=True) if chosen}


def test_as_many_as_asked_for_or_all() -> None:
    assert len(picked(NAMES, 40)) == 40
    for most in (None, 300, 1000):
        assert picked(NAMES, most) == set(NAMES)


def test_order_and_other_samples_change_nothing() -> None:
    assert picked(NAMES[::-1], 40) == picked(NAMES, 40)
    lost = picked(NAMES, 40) - {min(picked(NAMES, 40))}
    assert lost < picked([name for name in NAMES if name != min(picked(NAMES, 40))], 40)


def test_a_larger_draw_holds_a_smaller_one_and_the_seed_decides() -> None:
    assert picked(NAMES, 40) < picked(NAMES, 80)
    assert picked(NAMES, 40) != picked(NAMES, 40, seed=1)


def test_every_sample_is_as_likely() -> None:
    counts = sum(drawn(NAMES, 100, seed).astype(int) for seed in range(300))
    assert abs(np.mean(counts) - 100) < 1e-9 and np.std(counts) < 1.3 * np.sqrt(300 * 2 / 9)
