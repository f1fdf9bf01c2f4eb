"""``designability_proxy``: what can be said of designability without a structure predictor.

Designability asks whether a sequence designed for a backbone folds back to it, and only a
folding network can answer (``designability.py``). This proxy asks two networks that are real
and small. One (ProteinMPNN v_48_020) designs sequences for the backbone; another, trained
with ten times less noise and so sensitive to detail and handedness (v_48_002), says how
likely they are there: the *cross NLL*. A backbone that no sequence fits gets sequences that
the second network finds no better than any other. Plain geometry is checked beside it.

How far this separates real domains from decoys, and what it can't see, was measured by
``studies/derive_proxy.py`` and stands in
``docs/explanation/designability_proxy.md``. Never report it as designability.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from domains.protein.metrics.designability.gates import Gates
from domains.protein.metrics.designability.mpnn import ProteinMPNN, load
from domains.protein.metrics.designability.mpnn_files import RELEASE
from domains.protein.metrics.geometry import chain as geometry

__all__ = ["Gates", "Proxy", "load_proxy"]

DESIGNER, SCORER = "v_48_020", "v_48_002"


@dataclass(frozen=True)
class Proxy:
    """The proxy with its two networks; ``load_proxy`` makes one.

    Args:
        designer: Designs the sequences.
        scorer: Scores them; other weights than the designer's.
        gates: Limits for the pass flag.
        count: Sequences per sample.
    """

    designer: ProteinMPNN
    scorer: ProteinMPNN
    gates: Gates = field(default_factory=Gates)
    count: int = 8

    @property
    def backend(self) -> str:
        """Name of everything that decided a number, for every table row."""
        return f"proteinmpnn-ca {RELEASE} {self.designer.name}→{self.scorer.name} + geometry"

    def describe(self, points: Float[np.ndarray, "n 3"], seed: int = 0) -> dict[str, float | str]:
        """Return all columns of one sample; NaN and no pass if coordinates aren't finite.

        Args:
            points: Cα coordinates [n, 3], nm; centred here, because the networks see the
                origin (see ``mpnn``).
            seed: Decides the sequences.

        Returns:
            ``cross_nll`` (nat per residue, mean over the sequences), the geometry columns,
            one ``gate_*`` each, ``designability_proxy`` (all gates) and ``proxy_backend``.
        """
        points = np.asarray(points, dtype=np.float64)
        row = dict(geometry.describe(points))
        row["cross_nll"] = self.cross_nll(points, seed)
        gates = self.gates.judge(row)
        return {
            **row,
            **{name: float(passed) for name, passed in gates.items()},
            "designability_proxy": float(all(gates.values())),
            "proxy_backend": self.backend,
        }

    def describe_all(
        self, samples: Iterable[Float[np.ndarray, "_ 3"]], seed: int = 0
    ) -> list[dict[str, float | str]]:
        """Return one row per sample."""
        return [self.describe(points, seed) for points in samples]

    def cross_nll(self, points: Float[np.ndarray, "n 3"], seed: int = 0) -> float:
        """Return the cross NLL alone, nat per residue; NaN if coordinates aren't finite."""
        points = np.asarray(points, dtype=np.float64)
        if not np.isfinite(points).all():
            return math.nan
        return float(self.designs(points, seed)[1].mean())

    def designs(
        self, points: Float[np.ndarray, "n 3"], seed: int = 0
    ) -> tuple[list[str], Float[Tensor, " s"]]:
        """Return the designed sequences and the NLL of each, nat per residue.

        Args:
            points: Finite Cα coordinates, nm.
            seed: Decides the sequences.
        """
        centred = points - points.mean(0)
        sequences = self.designer.design(centred, count=self.count, temperature=0.1, seed=seed)
        return sequences, self.scorer.nll(centred, sequences)


def load_proxy(weights: Path | None = None, *, gates: Gates | None = None, count: int = 8) -> Proxy:
    """Return the proxy with both networks loaded.

    Args:
        weights: Where the ProteinMPNN weights are; see ``mpnn_files.find_weights``.
        gates: Other limits than the derived ones.
        count: Sequences per sample.

    Raises:
        FewstepError: Weights are missing.
    """
    return Proxy(load(DESIGNER, weights), load(SCORER, weights), gates or Gates(), count)


def record(proxy: Proxy) -> dict[str, object]:
    """Return backend, sequence count and gates of a proxy, for a table's provenance."""
    return {"backend": proxy.backend, "sequences": proxy.count, "gates": asdict(proxy.gates)}
