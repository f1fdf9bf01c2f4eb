"""Derive the limits of ``designability_proxy`` and measure what it can tell apart.

Natives are CATH domains of the train split (to fit) and of the test split (to judge), whose
superfamilies differ; decoys are made from those natives. The cross-NLL limit is fitted on
the train part, everything printed after it is measured on the test part.

Run from the repository root (about five minutes on one thread):

    python -m studies.derive_proxy --natives 60 --decoys 40 --output build/derive_proxy.csv
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float

from domains.files.provenance import write_text
from domains.protein.data.dataset import CathDomains, load_domains
from domains.protein.metrics.designability.proxy import Gates, Proxy, load_proxy, record
from domains.protein.metrics.geometry import decoys

Chain = Float[np.ndarray, "n 3"]


def bonds_restored(chain: Chain, rounds: int = 200) -> Chain:
    """Return the chain with each Cα step moved back to 0.38 nm, half by either end.

    A noised chain loses points for its broken bonds alone; this one must lose them for its
    shape.
    """
    chain = chain.copy()
    for _ in range(rounds):
        for begin in (0, 1):
            left, right = slice(begin, len(chain) - 1, 2), slice(begin + 1, None, 2)
            step = chain[right] - chain[left]
            length = np.linalg.norm(step, axis=1, keepdims=True)
            shift = 0.5 * step * (1 - decoys.BOND / np.maximum(length, 1e-9))
            chain[left] += shift
            chain[right] -= shift
    return chain


KINDS: dict[str, Callable[[Chain, np.random.Generator], Chain]] = {
    "noised 0.2 Å": lambda x, rng: decoys.noised(x, 0.02, rng),
    "noised 0.5 Å": lambda x, rng: decoys.noised(x, 0.05, rng),
    "noised 1 Å": lambda x, rng: decoys.noised(x, 0.1, rng),
    "noised 2 Å": lambda x, rng: decoys.noised(x, 0.2, rng),
    "noised 1 Å, bonds restored": lambda x, rng: bonds_restored(decoys.noised(x, 0.1, rng)),
    "noised 2 Å, bonds restored": lambda x, rng: bonds_restored(decoys.noised(x, 0.2, rng)),
    "mirrored": lambda x, rng: decoys.mirrored(x),
    "segments shuffled": lambda x, rng: decoys.segment_shuffled(x, rng),
    "torsions shuffled": lambda x, rng: decoys.torsion_shuffled(x, rng),
    "globule": lambda x, rng: decoys.globule(len(x), rng),
    "coil": lambda x, rng: decoys.coil(len(x), rng),
}
# Errors of a good predictor: near-native, so no evidence of what a wrong fold looks like.
NEAR_NATIVE = ("noised 0.2 Å", "noised 0.5 Å")
BOOTSTRAPS = 2000


def sets(
    domains: CathDomains, natives: int, count: int, seed: int
) -> Iterator[tuple[str, str, Chain]]:
    """Yield (kind, domain, chain): natives, then ``count`` decoys of each kind made from them."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(domains), size=min(natives, len(domains)), replace=False)
    for index in chosen:
        yield "native", domains.ids[index], domains.points(index).astype(float)
    for kind, make in KINDS.items():
        for index in chosen[:count]:
            yield kind, domains.ids[index], make(domains.points(index).astype(float), rng)


def measure(proxy: Proxy, split: str, arguments: argparse.Namespace, seed: int) -> pd.DataFrame:
    """Return one row per chain of one split."""
    domains = load_domains().subset(split, 40, 96)
    rows = []
    for kind, name, chain in sets(domains, arguments.natives, arguments.decoys, seed):
        row = proxy.describe(chain)
        rows.append({"split": split, "kind": kind, "domain": name, **row})
    return pd.DataFrame(rows)


def auc(high: Float[np.ndarray, " a"], low: Float[np.ndarray, " b"]) -> float:
    """Return the chance that a decoy's value lies above a native's, ties counted half."""
    return float((high[:, None] > low[None]).mean() + 0.5 * (high[:, None] == low[None]).mean())


def interval(high: Float[np.ndarray, " a"], low: Float[np.ndarray, " b"]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of ``auc``, natives and decoys drawn apart."""
    rng = np.random.default_rng(0)
    values = [
        auc(rng.choice(high, len(high)), rng.choice(low, len(low))) for _ in range(BOOTSTRAPS)
    ]
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def fit(frame: pd.DataFrame) -> float:
    """Return the cross-NLL limit with the best balanced accuracy.

    Natives against all decoys but the near-native ones.
    """
    native = frame.kind == "native"
    low = frame[native].cross_nll.to_numpy()
    high = frame[~native & ~frame.kind.isin(NEAR_NATIVE)].cross_nll.to_numpy()
    limits = np.unique(np.concatenate([low, high]))
    balanced = [((low <= limit).mean() + (high > limit).mean()) / 2 for limit in limits]
    best = int(np.argmax(balanced))
    upper = limits[best + 1] if best + 1 < len(limits) else limits[best]
    return float((limits[best] + upper) / 2)


def wilson(passed: Bool[np.ndarray, " n"]) -> str:
    """Return a rate in percent with its 95 % Wilson interval."""
    n, p, z = len(passed), float(passed.mean()), 1.96
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{100 * p:.0f} ({100 * max(centre - half, 0):.0f}-{100 * min(centre + half, 1):.0f})"


def table(frame: pd.DataFrame, limit: float) -> str:
    """Return the Markdown table of one split."""
    gates = Gates(cross_nll=limit)
    judged = pd.DataFrame([gates.judge(row) for row in frame.to_dict("records")], dtype=bool)
    geometry = judged.drop(columns="gate_cross_nll").all(axis=1).to_numpy()
    network = judged["gate_cross_nll"].to_numpy()
    native = frame[frame.kind == "native"].cross_nll.to_numpy()
    lines = [
        "| kind | n | cross NLL, median (5-95 %) | AUC of cross NLL (95 %) | "
        "cross NLL passes % | geometry passes % | both pass % (95 %) |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in ["native", *KINDS]:
        here = (frame.kind == kind).to_numpy()
        values = frame[here].cross_nll.to_numpy()
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        separated = ""
        if kind != "native":
            begin, end = interval(values, native)
            separated = f"{auc(values, native):.3f} ({begin:.3f}-{end:.3f})"
        lines.append(
            f"| {kind} | {here.sum()} | {middle:.2f} ({low:.2f}-{high:.2f}) | {separated} | "
            f"{100 * network[here].mean():.0f} | {100 * geometry[here].mean():.0f} | "
            f"{wilson((network & geometry)[here])} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, fit on the train split, and print the tables of the test split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--natives", type=int, default=60, help="natives of each split")
    parser.add_argument("--decoys", type=int, default=40, help="decoys of each kind and split")
    parser.add_argument("--weights", type=Path, help="ProteinMPNN weights")
    parser.add_argument("--output", type=Path, required=True, help="table of all chains (CSV)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    proxy = load_proxy(arguments.weights)
    start = time.process_time()
    frame = pd.concat(
        [measure(proxy, split, arguments, seed) for seed, split in enumerate(("train", "test"))],
        ignore_index=True,
    )
    seconds = (time.process_time() - start) / len(frame)
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False)
    write_text(arguments.output, buffer.getvalue())
    train, test = frame[frame.split == "train"], frame[frame.split == "test"]
    limit = fit(train)
    natives = train[train.kind == "native"]
    print(record(proxy))
    print(
        f"{len(frame)} chains of 40-96 residues, {seconds:.2f} CPU-s each (mean length "
        f"{frame.length.mean():.0f})"
    )
    print(
        f"fitted cross-NLL limit {limit:.3f}; 95 % of train natives lie below "
        f"{natives.cross_nll.quantile(0.95):.3f}"
    )
    print(
        f"train natives: bond_fraction 1 % quantile {natives.bond_fraction.quantile(0.01):.3f}, "
        f"clashes max {natives.clashes.max():.0f}, "
        f"rg_ratio 99 % {natives.rg_ratio.quantile(0.99):.2f}, "
        f"right_handed min {natives.right_handed.min():.2f}"
    )
    print("\ntrain split (fitted on it)\n" + table(train.reset_index(), limit))
    print("\ntest split (held out)\n" + table(test.reset_index(), limit))


if __name__ == "__main__":
    main()
