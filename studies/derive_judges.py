"""Fit what natives have at a given composition, and the judge that needs no network.

Natives are CATH domains of the train split (to fit) and of the test split (to judge), whose
superfamilies differ; decoys are made from those natives. All regressions and the judge are
fitted on the train part, everything printed is measured on the test part.

Run from the repository root (about twenty minutes on one thread; with --fit-only seconds):

    python -m studies.derive_judges --output docs/results/evaluation/judges.csv
"""

import argparse
import io
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from domains.files.provenance import write_text
from domains.protein.data.dataset import load_domains
from domains.protein.metrics.composition import tertiary
from domains.protein.metrics.composition.nativeness import nativeness, standardised
from domains.protein.metrics.composition.regression import FIT, NativeFit, Regression
from domains.protein.metrics.designability.proxy import load_proxy
from domains.protein.metrics.geometry import chain as geometry
from domains.protein.metrics.geometry import decoys, secondary_structure
from studies.compact_decoys import loops_shuffled
from studies.judge_tables import COMPOSITION, tables

LENGTHS = (40, 130)  # residues of the bundled domains, but for those that are shorter
NATIVE, MIRRORED = "native", "mirrored"
KINDS = {
    "segments shuffled": decoys.segment_shuffled,
    "torsions shuffled": decoys.torsion_shuffled,
    "loops shuffled, compact": loops_shuffled,
    MIRRORED: lambda chain, _: decoys.mirrored(chain),
}
COMPACT = "loops shuffled, compact"
FITTED = [kind for kind in KINDS if kind != MIRRORED]  # the others only judge
SEEN = "cross_nll"
_PENALTY = 1.0  # of the squared weights; of chains as many as natives


def chains(
    split: str, natives: int, count: int, seed: int
) -> Iterator[tuple[str, str, Float[np.ndarray, "n 3"]]]:
    """Yield (kind, domain, chain): natives, then decoys of ``count`` of them for each kind."""
    rng = np.random.default_rng(seed)
    known = load_domains().subset(split, *LENGTHS)
    chosen = rng.permutation(len(known))[:natives]
    points = {k: np.array(known.points(k), dtype=float) for k in chosen}
    for k in chosen:
        yield NATIVE, known.ids[k], points[k]
    for kind, make in KINDS.items():
        for k in chosen[:count]:
            made = make(points[k], rng)
            if made is not None:  # all were without loops, or all clashed
                yield kind, known.ids[k], made


def describe(chain: Float[np.ndarray, "n 3"]) -> dict[str, float]:
    """Return composition, statistics and size of a chain."""
    content = secondary_structure.describe(chain)
    found = tertiary.describe(chain, str(content["secondary_structure"]))
    shares = {name: float(content[name]) for name in ("helix", "strand")}
    size = geometry.rg_ratio(chain)
    return {**shares, "length": float(len(chain)), **found, "rg_ratio": size}


def measured(arguments: argparse.Namespace) -> pd.DataFrame:
    """Return one row per chain of both splits; not all decoys of the first have a cross NLL."""
    proxy, rows = load_proxy(arguments.weights), []
    sizes = {"train": arguments.train, "test": arguments.test}
    for seed, (split, (natives, count)) in enumerate(sizes.items()):
        for kind, name, chain in chains(split, natives, count, seed):
            if split == "train" and kind == MIRRORED:
                continue
            row = {"split": split, "kind": kind, "domain": name, **describe(chain)}
            scored = split == "test" or kind in (NATIVE, COMPACT)
            rows.append({**row, SEEN: proxy.cross_nll(chain) if scored else np.nan})
            if len(rows) % 100 == 0:
                print(f"{len(rows)} chains, {time.process_time():.0f} s", flush=True)
    return pd.DataFrame(rows)


def fit(frame: pd.DataFrame) -> NativeFit:
    """Fit the regressions on natives, and the judge on natives and decoys, of one split."""
    natives = frame[frame.kind == NATIVE]
    composition = natives[COMPOSITION].to_numpy(float)
    regressions = {
        name: Regression.fit(natives[name].to_numpy(float), composition)
        for name in (SEEN, *tertiary.TERTIARY)
    }
    compact = frame[frame.kind == COMPACT]
    wrong = Regression.fit(compact[SEEN].to_numpy(float), compact[COMPOSITION].to_numpy(float))
    blank = NativeFit(LENGTHS, regressions, wrong, dict.fromkeys(tertiary.TERTIARY, 0.0), 0.0)
    groups = [natives, *(frame[frame.kind == kind] for kind in FITTED)]
    residuals = [
        standardised(statistics(group), group[COMPOSITION].to_numpy(float), blank)
        for group in groups
    ]
    # Natives weigh as much as all decoys, and each kind of decoy as much as any other.
    shares = np.array([1.0, *(1 / len(FITTED) for _ in FITTED)])
    weights = [
        np.full(len(r), s * len(natives) / len(r)) for r, s in zip(residuals, shares, strict=True)
    ]
    labels = [np.full(len(r), k == 0, dtype=float) for k, r in enumerate(residuals)]
    found = logistic(*(np.concatenate(part) for part in (residuals, labels, weights)))
    intercept, *rounded = [round(float(value), 4) for value in found]
    by_name = dict(zip(tertiary.TERTIARY, rounded, strict=True))
    return NativeFit(LENGTHS, regressions, wrong, by_name, intercept)


def statistics(frame: pd.DataFrame) -> dict[str, Float[np.ndarray, " n"]]:
    """Return the columns that the judge without a network reads."""
    return {name: frame[name].to_numpy(float) for name in tertiary.TERTIARY}


def logistic(
    inputs: Float[np.ndarray, "n d"], labels: Float[np.ndarray, " n"], weights: np.ndarray
) -> Float[np.ndarray, " _"]:
    """Return intercept and weights of a logistic regression with a small ridge, by Newton."""
    terms = np.hstack([np.ones((len(inputs), 1)), inputs])
    ridge = _PENALTY * np.diag([0.0, *np.ones(inputs.shape[1])])
    found = np.zeros(terms.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-terms @ found))
        curvature = (terms * (weights * chance * (1 - chance))[:, None]).T @ terms + ridge
        slope = terms.T @ (weights * (labels - chance)) - ridge @ found
        found = found + np.linalg.solve(curvature, slope)
    return found


def judged(frame: pd.DataFrame, fitted: NativeFit) -> pd.DataFrame:
    """Return the table with the columns of the judge and of what cross NLL exceeds natives' by."""
    composition = frame[COMPOSITION].to_numpy(float)
    return frame.assign(
        cross_nll_excess=fitted.excess(SEEN, frame[SEEN].to_numpy(float), composition),
        nativeness_proxy=nativeness(statistics(frame), composition, fitted),
    )


def main() -> None:
    """Measure, fit on the train split, write the constants, print tables of the test split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for split, sizes in (("train", (400, 200)), ("test", (200, 100))):
        text = "natives, and decoys of each kind"
        parser.add_argument(f"--{split}", type=int, nargs=2, default=sizes, help=text)
    parser.add_argument("--weights", type=Path, help="ProteinMPNN weights")
    parser.add_argument("--output", type=Path, required=True, help="table of all chains (CSV)")
    parser.add_argument("--fit-only", action="store_true", help="read the output, fit again")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.fit_only:
        buffer = io.StringIO()
        measured(arguments).round(5).to_csv(buffer, index=False)
        write_text(arguments.output, buffer.getvalue())
    frame = pd.read_csv(arguments.output)
    fitted = fit(frame[frame.split == "train"])
    write_text(FIT, json.dumps(asdict(fitted), indent=1) + "\n")
    print(tables(judged(frame, fitted), fitted))


if __name__ == "__main__":
    main()
