"""Gates of backbones: geometry, the fit of a sequence, novelty."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from domains.batch import Sample
from domains.evaluation.screening.gate import Design, Gate, Verdict
from domains.files.provenance import named
from domains.protein.data.dataset import CathDomains
from domains.protein.metrics.designability.folding import load_folding
from domains.protein.metrics.designability.mpnn import load
from domains.protein.metrics.designability.proxy import DESIGNER, Proxy, load_proxy
from domains.protein.metrics.designability.self_consistency import Designability
from domains.protein.metrics.folds.fold_screen import FoldScreen
from domains.protein.metrics.geometry import chain as geometry
from domains.protein.metrics.geometry import secondary_structure
from domains.protein.metrics.similarity.tm_align import engine, tm_align
from domains.protein.screening.settings import DesignGate, GeometryGate, NoveltyGate
from domains.protein.settings import ProteinRun

__all__ = ["Folds", "Geometry", "Novelty", "SequenceFit", "gates_of"]

_NEAR_SIZES = 0.8, 1.25  # of a sample's length: references of another can't be like all of it


def _chain(sample: Sample) -> Float[np.ndarray, "n 3"]:
    return sample.points.numpy().astype(np.float64)


def _outside(measures: Mapping[str, float], bounds: Mapping[str, tuple[float, float]]) -> str:
    """Return the first measure that is not within its bounds; NaN is within none."""
    wrong = (name for name, (low, high) in bounds.items() if not low <= measures[name] <= high)
    return next(wrong, "")


@dataclass(frozen=True)
class Geometry:
    """Bonds, breaks, clashes, size, handedness and content within bounds."""

    settings: GeometryGate
    name = "geometry"
    columns = (
        *("finite", "bond_fraction", "longest_step", "clashes", "rg_ratio", "right_handed"),
        *("helix", "strand", "coil"),
    )

    @property
    def tool(self) -> str:
        """Programs and versions."""
        return f"{named('fewstep')}, {secondary_structure.tool()}"

    def judge(self, sample: Sample) -> Verdict:
        """Measure geometry and content; a chain without helices has no wrong-handed ones."""
        points, limits = _chain(sample), self.settings
        described = {**geometry.describe(points), **secondary_structure.describe(points)}
        steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
        described["longest_step"] = float(steps.max(initial=0.0))
        measures = {name: float(described[name]) for name in self.columns}
        bounds = {
            "finite": (1.0, 1.0),
            "bond_fraction": (limits.bond_fraction, 1.0),
            "longest_step": (0.0, limits.longest_step),
            "clashes": (0.0, float(limits.clashes)),
            "rg_ratio": limits.rg_ratio,
            "right_handed": (limits.right_handed, 1.0),
            "helix": limits.helix,
            "strand": limits.strand,
            "coil": limits.coil,
        }
        if described["helix_windows"] == 0:
            del bounds["right_handed"]
        return Verdict(measures, _outside(measures, bounds))


@dataclass(frozen=True)
class SequenceFit:
    """The designability proxy's cross NLL; the designed sequences are kept."""

    settings: DesignGate
    proxy: Proxy
    seed: int
    name = "design"
    columns = ("cross_nll",)

    @property
    def tool(self) -> str:
        """Networks and versions."""
        return f"{self.proxy.backend}, {self.proxy.count} sequences"

    def judge(self, sample: Sample) -> Verdict:
        """Design sequences, and ask the second network how likely they are there."""
        sequences, scores = self.proxy.designs(_chain(sample), self.seed)
        designs = [Design(one, float(nll)) for one, nll in zip(sequences, scores, strict=True)]
        measures = {"cross_nll": float(scores.mean())}
        failed = _outside(measures, {"cross_nll": (-math.inf, self.settings.cross_nll)})
        return Verdict(measures, failed, sorted(designs, key=lambda one: one.score))


@dataclass(frozen=True)
class Folds:
    """Designability: whether the best of the designed sequences folds back to the sample."""

    settings: DesignGate
    judges: Designability
    seed: int
    name = "design"
    columns = ("sc_rmsd_nm", "sc_tm", "plddt")

    @property
    def tool(self) -> str:
        """Networks and versions."""
        return f"{self.judges.backend}, {self.judges.count} sequences"

    def judge(self, sample: Sample) -> Verdict:
        """Design sequences and fold them; the best one is kept, with its scRMSD in nm."""
        row = self.judges.describe(_chain(sample), self.seed)
        measures = {name: float(row[name]) for name in self.columns}
        limit = math.nextafter(self.settings.sc_rmsd_nm, 0.0)
        failed = _outside(measures, {"sc_rmsd_nm": (0.0, limit)})
        best = Design(str(row["designability_sequence"]), measures["sc_rmsd_nm"])
        return Verdict(measures, failed, (best,))


@dataclass(frozen=True)
class Novelty:
    """TM-score to the nearest training domain of about the sample's length.

    Args:
        settings: Bounds.
        references: Training domains, finite Cα chains in nm.
    """

    settings: NoveltyGate
    references: Sequence[Float[np.ndarray, "_ 3"]]
    name = "novelty"
    columns = ("novelty_tm",)

    @property
    def tool(self) -> str:
        """Program, and what was searched."""
        shortlist, count = self.settings.shortlist, len(self.references)
        return f"{engine()}, shortlist of {shortlist} of {count} training domains"

    @cached_property
    def _lengths(self) -> Int[np.ndarray, " r"]:
        return np.array([len(chain) for chain in self.references], dtype=np.int64)

    @cached_property
    def _screen(self) -> FoldScreen:
        return FoldScreen(self.references)

    def judge(self, sample: Sample) -> Verdict:
        """Align the sample to the references of the most similar contact maps.

        Where no reference has about its length it is new, and the measure NaN.
        """
        points = _chain(sample)
        low, high = (share * len(points) for share in _NEAR_SIZES)
        near = np.flatnonzero((self._lengths >= low) & (self._lengths <= high))
        if not len(near):
            return Verdict({"novelty_tm": math.nan})
        overlaps = self._screen.overlaps(points)[near]
        chosen = near[np.argsort(-overlaps, kind="stable")[: self.settings.shortlist]]
        best = max(tm_align(points, self.references[k]) for k in chosen)
        measures = {"novelty_tm": best}
        return Verdict(measures, _outside(measures, {"novelty_tm": (0.0, self.settings.tm)}))


def gates_of(
    run: ProteinRun, training: Callable[[], CathDomains], tools: Path | None
) -> list[Gate]:
    """Return the gates of a run's screen in their order, cheap ones first.

    Args:
        run: Whose settings say which gates there are.
        training: Returns the training domains.
        tools: Directory of the ProteinMPNN weights; None: the usual places.

    Raises:
        FewstepError: Weights or TM-align are missing.
    """
    screen, found = run.screen, list[Gate]()
    if screen and screen.geometry:
        found.append(Geometry(screen.geometry))
    if screen and screen.design:
        found.append(_design(screen.design, run, tools))
    if screen and screen.novelty:
        domains = training()
        chains = [np.array(domains.points(k), dtype=np.float64) for k in range(len(domains))]
        found.append(Novelty(screen.novelty, chains))
    return found


def _design(gate: DesignGate, run: ProteinRun, tools: Path | None) -> Gate:
    if gate.judge == "proxy":
        return SequenceFit(gate, load_proxy(tools, count=gate.sequences), run.seed)
    judges = Designability(load(DESIGNER, tools), load_folding(run.evaluate), gate.sequences)
    return Folds(gate, judges, run.seed)
