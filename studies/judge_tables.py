"""Tables of how well judges tell natives from decoys, at any and at equal composition."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from domains.protein.metrics.composition.regression import NativeFit
from domains.protein.metrics.composition.relative_cross_nll import relative_cross_nll

__all__ = ["COMPOSITION", "auc", "relative_table", "tables"]

COMPOSITION = ["helix", "strand", "length"]
JUDGES = {
    "cross_nll": -1,
    "cross_nll_excess": -1,
    "nativeness_proxy": 1,
}  # sign: higher is better
_EQUAL = 0.05  # of the shares of helix and strand
_BOOTSTRAPS = 500


def auc(
    good: Float[np.ndarray, " a"],
    bad: Float[np.ndarray, " b"],
    allowed: Bool[np.ndarray, "a b"] | None = None,
) -> float:
    """Return the chance that a native's value is above a decoy's, ties counted half.

    Args:
        good: Natives' values.
        bad: Decoys' values.
        allowed: Pairs to compare; all if not given.
    """
    won = (good[:, None] > bad[None]) + 0.5 * (good[:, None] == bad[None])
    return float(won.mean() if allowed is None else won[allowed].mean())


def equal(natives: pd.DataFrame, wrong: pd.DataFrame) -> Bool[np.ndarray, "a b"]:
    """Return which pairs have the same shares of helix and of strand, within .05."""
    first, second = (frame[COMPOSITION[:2]].to_numpy(float) for frame in (natives, wrong))
    return (np.abs(first[:, None] - second[None]) <= _EQUAL).all(-1)


def _cell(natives: pd.DataFrame, wrong: pd.DataFrame, name: str, matched: bool) -> str:
    """Return an AUC and its 95 % interval, natives and decoys drawn apart."""
    sign, rng = JUDGES[name], np.random.default_rng(0)
    good, bad = (sign * frame[name].to_numpy(float) for frame in (natives, wrong))
    allowed = equal(natives, wrong) if matched else np.ones((len(good), len(bad)), bool)
    values = []
    for _ in range(_BOOTSTRAPS):
        a, b = rng.integers(len(good), size=len(good)), rng.integers(len(bad), size=len(bad))
        values.append(auc(good[a], bad[b], allowed[np.ix_(a, b)]))
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{auc(good, bad, allowed):.3f} ({low:.3f}–{high:.3f})"


def tables(frame: pd.DataFrame, fitted: NativeFit) -> str:
    """Write the Markdown tables of the test split."""
    test = frame[frame.split == "test"]
    natives = test[test.kind == "native"]
    kinds = [kind for kind in dict.fromkeys(test.kind) if kind != "native"]
    parts = [_separation(test, natives, kinds), relative_table(test, fitted), _natives(frame)]
    return "\n\n".join([*parts, _constants(fitted)])


def relative_table(test: pd.DataFrame, fitted: NativeFit) -> str:
    """Write the relative cross NLL of held-out natives and decoys, by their helix."""
    ends = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    heads = [f"{low:.1f}–{high:.1f}" for low, high in pairwise(ends)]
    lines = [f"| kind | all | helix {' | '.join(heads)} |", "|---" * (len(ends) + 1) + "|"]
    for kind in dict.fromkeys(test.kind):
        group = test[test.kind == kind]
        bins = pd.cut(group.helix, ends, include_lowest=True, labels=False)
        cells = [_ratio(group, fitted), *(_ratio(group[bins == k], fitted) for k in range(5))]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(group: pd.DataFrame, fitted: NativeFit) -> str:
    composition = group[COMPOSITION].to_numpy(float)
    found, count = relative_cross_nll(group["cross_nll"].to_numpy(float), composition, 0, fitted)
    if count < 5 or not np.isfinite(found.value):
        return f"– ({count})"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}] ({count})"


def _separation(test: pd.DataFrame, natives: pd.DataFrame, kinds: Sequence[str]) -> str:
    heads = [f"`{name}`, {how}" for name in JUDGES for how in ("all pairs", "equal composition")]
    lines = [
        f"| decoys | n | helix | strand | Rg ratio | pairs | {' | '.join(heads)} |",
        "|---" * (6 + len(heads)) + "|",
    ]
    means = natives[["helix", "strand", "rg_ratio"]].mean()
    first = " | ".join(f"{value:.2f}" for value in means)
    lines.append(f"| natives | {len(natives)} | {first} |" + " |" * (1 + len(heads)))
    for kind in kinds:
        wrong = test[test.kind == kind]
        shares = " | ".join(f"{wrong[k].mean():.2f}" for k in ("helix", "strand", "rg_ratio"))
        cells = [_cell(natives, wrong, k, matched) for k in JUDGES for matched in (False, True)]
        pairs = int(equal(natives, wrong).sum())
        lines.append(f"| {kind} | {len(wrong)} | {shares} | {pairs} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _natives(frame: pd.DataFrame) -> str:
    """Write what natives have: means, spreads, and correlations with their composition."""
    lines = ["| natives | n | measure | mean | spread | r helix | r strand | r length |"]
    lines.append("|---" * 8 + "|")
    for split in ("train", "test"):
        natives = frame[(frame.split == split) & (frame.kind == "native")]
        for name in JUDGES:
            related = [f"{natives[name].corr(natives[other]):.2f}" for other in COMPOSITION]
            value = f"{natives[name].mean():.3f} | {natives[name].std():.3f}"
            lines.append(
                f"| {split} | {len(natives)} | `{name}` | {value} | {' | '.join(related)} |"
            )
    return "\n".join(lines)


def _constants(fitted: NativeFit) -> str:
    """Write how much of each statistic's spread composition leaves, and the judge's weights."""
    lines = ["| measure | spread at equal composition | weight |", "|---|---|---|"]
    for name, one in fitted.regressions.items():
        weight = f"{fitted.weights[name]:.2f}" if name in fitted.weights else "–"
        lines.append(f"| `{name}` | {one.spread:.3f} | {weight} |")
    return "\n".join(lines)
