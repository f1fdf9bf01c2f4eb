"""Measures of a set of protein backbones, with the tool that computed each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from domains.batch import Sample
from domains.evaluation.statistics.measured import Measured, SetMeasure
from domains.evaluation.statistics.subsample import drawn
from domains.evaluation.statistics.table import Interval, bootstrap_interval
from domains.lazy import torch
from domains.protein.conditions.folds import agree
from domains.protein.conditions.told import asked_of
from domains.protein.evaluate_settings import DESCRIPTORS
from domains.protein.metrics.composition.at_equal import (
    chains_at_equal_composition,
    set_at_equal_composition,
)
from domains.protein.metrics.folds.distribution import by_classifier, by_descriptors, described
from domains.protein.metrics.folds.fold_judge import ContentJudge
from domains.protein.metrics.geometry import chain as geometry
from domains.protein.metrics.geometry import secondary_structure
from domains.protein.metrics.references import References
from domains.protein.metrics.similarity import diversity as similarity
from domains.protein.metrics.similarity.foldseek import Foldseek, chosen
from domains.protein.metrics.similarity.novelty import novelty, novelty_column
from domains.protein.metrics.similarity.superpose import rmsd
from domains.protein.metrics.similarity.tm_align import engine
from domains.protein.metrics.similarity.workers import Workers, counted
from domains.protein.settings import ProteinEvaluate

__all__ = ["measure", "quick"]

_MOTIF_KEPT = 0.1  # nm, the field's limit
_GEOMETRY = ("finite", "exploded", "bond_fraction", "clashes", "rg_ratio", "right_handed")
_STRUCTURE = ("helix", "strand")
_SHARES = (
    "finite",
    "exploded",
    "designability",
    "designability_proxy",
    "asked_class",
    "asked_fold",
    "motif_kept",
    "scaffold_proxy",
)
_QUICK = ("bond_fraction", *_STRUCTURE, "rg_ratio")
# Said of measures that compare with training domains of the samples' sizes.
_NO_REFERENCES = "no training domain has these sizes"


def measure(
    samples: Sequence[Sample],
    config: ProteinEvaluate,
    seed: int,
    tools: Path | None,
    data: str | None = None,
    known: Path | None = None,
) -> Measured:
    """Measure chains: geometry, content, proxies, designability, diversity, novelty.

    Args:
        samples: Chains in nm.
        config: What to measure.
        seed: Decides designed sequences and bootstrap draws.
        tools: Directory of the ProteinMPNN weights, or None to look in the usual places.
        data: File of the run's packed domains, with whose training split samples are compared;
            None for those of the package.
        known: Descriptors of these, if they were computed before.
    """
    foldseek = chosen(config)  # a program that can't be used is said before anything is measured
    chains = [sample.points.numpy().astype(np.float64) for sample in samples]
    rows = [
        {**geometry.describe(c), **secondary_structure.describe(c)}
        for c in counted(chains, "geometry")
    ]
    metrics = [*_GEOMETRY, *_STRUCTURE]
    used: dict[str, str] = dict.fromkeys(_STRUCTURE, secondary_structure.tool())
    target_codes = [tuple(asked_of(sample).get("cath_code", ())) for sample in samples]
    sizes = [len(chain) for chain in chains]
    references = References.of(data, min(sizes), max(sizes), known)
    names = [sample.name for sample in samples]
    judged, aligned = (drawn(names, most, seed) for most in (config.judged, config.aligned))
    whole = np.array([geometry.is_whole(chain) for chain in chains])
    partial: dict[str, Bool[np.ndarray, " n"]] = {}
    with Workers(torch.get_num_threads()) as workers:
        near = (_at(chains, aligned), _at(target_codes, aligned), references)
        for part, measures in (
            (judged, _judges(_at(chains, judged), config, seed, tools)),
            (aligned, _nearest(*near, config, foldseek, workers)),
        ):
            for columns, tool, more in measures:
                for row, one in zip(_at(rows, part), more, strict=True):
                    row |= one
                metrics += columns
                used |= dict.fromkeys(columns, tool + _said(part))
                partial |= dict.fromkeys(columns, part)
        diverse = similarity.of_set(
            _at(chains, aligned & whole), config, foldseek, workers, _said(aligned), seed
        )
    table = pd.DataFrame(rows)
    shapes = np.full((len(chains), len(DESCRIPTORS)), np.nan)
    shapes[whole] = described(counted(_at(chains, whole), "descriptors"))
    table[list(DESCRIPTORS)] = shapes
    table["nativeness_proxy"], tool = chains_at_equal_composition(chains, table, used)
    used["nativeness_proxy"] = tool
    metrics.append("nativeness_proxy")
    if any(target_codes):
        table["asked"] = [" ".join(codes) for codes in target_codes]
    natives = references.descriptors[:, : len(_STRUCTURE)]
    if any(target_codes) and references:
        metrics.append("asked_class")
        used["asked_class"] = f"{secondary_structure.tool()}, {len(references)} training domains"
        table["asked_class"] = _of_class(table, target_codes, references, natives)
    motifs = [asked_of(sample).get("motif") for sample in samples]
    if any(motifs):
        metrics += _of_motifs(table, chains, motifs)
        partial["scaffold_proxy"] = judged
    of_set = [
        *set_at_equal_composition(table, used, seed),
        *_structure_gaps(table, natives, seed),
        *diverse,
        *by_descriptors(
            shapes[np.isfinite(shapes).all(1)], references.descriptors, references.codes, seed
        ),
        *by_classifier(_at(chains, whole & judged), config, seed, _said(judged)),
    ]
    return Measured(table, tuple(metrics), tuple(of_set), used, _SHARES, partial)


def _at(rows: Sequence[Any], chosen: Bool[np.ndarray, " n"]) -> list[Any]:
    """Return the rows where ``chosen`` holds."""
    return [row for row, here in zip(rows, chosen, strict=True) if here]


def _said(chosen: Bool[np.ndarray, " n"]) -> str:
    """Return what a tool adds where it saw some of the samples only."""
    return "" if chosen.all() else f", {int(chosen.sum())} samples drawn at random"


def _judges(
    chains: list, config: ProteinEvaluate, seed: int, tools: Path | None
) -> Iterator[tuple[tuple[str, ...], str, list[dict[str, Any]]]]:
    """Yield (metrics, tool, rows) of each model-based measure in the settings."""
    if config.proxy:
        from domains.protein.metrics.designability.proxy import load_proxy

        proxy = load_proxy(tools)
        rows = proxy.describe_all(counted(chains, "ProteinMPNN"), seed)
        yield ("cross_nll", "designability_proxy"), proxy.backend, rows
    if config.folding_model:
        from domains.protein.metrics.designability.folding import load_folding
        from domains.protein.metrics.designability.mpnn import load
        from domains.protein.metrics.designability.self_consistency import Designability

        judge = Designability(load("v_48_020", tools), load_folding(config))
        rows = judge.describe_all(chains, seed)
        yield ("designability", "sc_rmsd_nm", "sc_tm", "plddt"), judge.backend, rows


def _nearest(
    chains: list,
    target_codes: list,
    references: References,
    config: ProteinEvaluate,
    foldseek: Foldseek | None,
    workers: Workers,
) -> Iterator[tuple[tuple[str, ...], str, list[dict[str, Any]]]]:
    """Find the most similar known structures: novelty, and whether the fold is the target."""
    database = Path(config.novelty_database) if config.novelty_database else None
    if database and foldseek:
        best, _ = foldseek.search(chains, database)
        tool = f"{foldseek.search_tool}, database {database.name}"
        yield ("novelty_tm",), tool, [{"novelty_tm": value} for value in best]
    if not config.novelty_shortlist or (database and not any(target_codes)):
        return
    best, nearest, tool = np.full(len(chains), np.nan), [-1] * len(chains), _NO_REFERENCES
    known = references.chains
    if known and foldseek:
        best, nearest = foldseek.novelty(chains, known)
        tool = f"{foldseek.search_tool}, {len(known)} training domains"
    elif known:
        best, nearest = novelty(chains, known, config.novelty_shortlist, workers)
        tool = f"{engine()}, {novelty_column(config.novelty_shortlist)}"
    if not database:
        yield ("novelty_tm",), tool, [{"novelty_tm": value} for value in best]
    if any(target_codes) and references:
        nearest_codes = [references.codes[k] if k >= 0 else None for k in nearest]
        right = [
            float(any(agree(code, near) for code in codes)) if codes and near else np.nan
            for codes, near in zip(target_codes, nearest_codes, strict=True)
        ]
        yield ("asked_fold",), tool, [{"asked_fold": value} for value in right]


def _of_class(
    table: pd.DataFrame,
    target_codes: list,
    references: References,
    natives: Float[np.ndarray, "d 2"],
) -> list[float]:
    """Return 1 where a chain's content is of a requested class, else 0; NaN where unknown."""
    judge, hits = ContentJudge(natives, references.codes), []
    for share, codes in zip(table[list(_STRUCTURE)].to_numpy(float), target_codes, strict=True):
        classes = {code[0] for code in codes} & set(judge.names)
        known = classes and np.isfinite(share).all()
        hits.append(float(judge.judge(*share) in classes) if known else np.nan)
    return hits


def _of_motifs(table: pd.DataFrame, chains: list, motifs: list) -> list[str]:
    """Add how well each chain holds its motif; return the names of the columns."""
    away = np.full(len(chains), np.nan)
    for k, (chain, motif) in enumerate(zip(chains, motifs, strict=True)):
        if motif is not None and np.isfinite(chain).all():
            away[k] = rmsd(chain[list(motif.positions)], motif.points)
    table["motif_rmsd_nm"] = away
    table["motif_kept"] = np.where(np.isnan(away), np.nan, away < _MOTIF_KEPT)
    if "designability_proxy" not in table:
        return ["motif_rmsd_nm", "motif_kept"]
    table["scaffold_proxy"] = table["motif_kept"] * table["designability_proxy"]
    return ["motif_rmsd_nm", "motif_kept", "scaffold_proxy"]


def _structure_gaps(
    table: pd.DataFrame, natives: Float[np.ndarray, "d 2"], seed: int
) -> list[SetMeasure]:
    """Compute |mean helix (strand) content − that of natives of these sizes|, with intervals."""
    gaps = []
    for name, contents in zip(_STRUCTURE, natives.T, strict=True):
        if not len(natives):
            undefined = Interval(np.nan, np.nan, np.nan)
            gaps.append(SetMeasure(f"{name}_gap", undefined, 0, _NO_REFERENCES))
            continue
        target = float(contents.mean())
        values = table[name].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        interval = bootstrap_interval(values, lambda v, t=target: abs(float(np.mean(v)) - t), seed)
        tool = f"{secondary_structure.tool()}, {len(natives)} training domains"
        gaps.append(SetMeasure(f"{name}_gap", interval, len(values), tool))
    return gaps


def quick(samples: Sequence[Sample]) -> dict[str, float]:
    """Return measures that cost milliseconds, to choose checkpoints by.

    ``quality`` is a proxy in (0, 1]: bonds in range × mean 1/(1 + clashes) × (0.2 + 0.8 ×
    secondary structure relative to natives', at most 1). It grows with each of the three, so
    that it ranks early checkpoints too. ``rg_ratio`` and ``right_handed`` (of helices; not there
    without any) are no part of it: they show what is lost where it is trained on.
    """
    rows = []
    for sample in samples:
        chain = sample.points.numpy().astype(np.float64)
        rows.append({**geometry.describe(chain), **secondary_structure.describe(chain)})
    table = pd.DataFrame(rows)
    mean = {name: float(np.nan_to_num(table[name].to_numpy(float)).mean()) for name in _QUICK}
    clashes = np.nan_to_num(table["clashes"].to_numpy(float), nan=np.inf)
    clean = float(np.mean(1 / (1 + clashes)))
    content = min(1.0, (mean["helix"] + mean["strand"]) / _NATIVE_CONTENT)
    windows = np.nan_to_num(table["helix_windows"].to_numpy(float))
    turns = {}
    if windows.any():
        right = np.nan_to_num(table["right_handed"].to_numpy(float))
        turns["right_handed"] = float((right * windows).sum() / windows.sum())
    return {
        "quality": mean["bond_fraction"] * clean * (0.2 + 0.8 * content),
        "clash_free": float(np.mean(clashes == 0)),
        **mean,
        **turns,
    }


# Mean helix + strand content of the packed CATH domains.
_NATIVE_CONTENT = 0.55
