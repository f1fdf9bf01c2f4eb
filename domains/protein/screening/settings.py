"""Settings of a screen of backbones: the gates, their bounds, and which of them are there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from domains.config.sections import Screen
from domains.protein.metrics.designability.gates import Gates
from domains.settings import Config

__all__ = ["DesignGate", "DistinctGate", "GeometryGate", "NoveltyGate", "ProteinScreen"]


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"{bounds[0]:g} must not exceed {bounds[1]:g}")
    return bounds


_Share = Annotated[float, Field(ge=0, le=1)]
_Shares = Annotated[tuple[_Share, _Share], AfterValidator(_rising)]
_Tm = Annotated[float, Field(gt=0, lt=1)]


class GeometryGate(Config):
    """What every backbone has to keep; costs milliseconds. Defaults: the proxy's own limits."""

    bond_fraction: _Share = Gates.bond_fraction
    """Smallest share of Cα steps in 0.36–0.40 nm."""
    longest_step: float = Field(default=0.42, gt=0)
    """Longest step from one Cα to the next, nm: a longer one is a break. No packed CATH domain has
    a longer one."""
    clashes: int = Field(default=int(Gates.clashes), ge=0)
    """Largest number of pairs of Cα nearer than 0.3 nm."""
    rg_ratio: Annotated[tuple[float, float], AfterValidator(_rising)] = (0.0, Gates.rg_ratio)
    """Least and most radius of gyration, over that of a compact fold of the length."""
    right_handed: _Share = Gates.right_handed
    """Smallest right-handed share of helices, in chains that have some."""
    helix: _Shares = (0.0, 1.0)
    """Least and most share of residues in helices."""
    strand: _Shares = (0.0, 1.0)
    """Least and most share of residues in strands."""
    coil: _Shares = (0.0, 1.0)
    """Least and most share of residues in neither."""


class DesignGate(Config):
    """Does a sequence fit the backbone? Seconds a sample, so only what passed geometry is asked."""

    judge: Literal["proxy", "folding"] = "proxy"
    """The designability `proxy` by ProteinMPNN; or designability itself, by `folding` the sequences
    (needs `evaluate.folding_model`)."""
    sequences: int = Field(default=8, ge=1, le=1000)
    """Sequences designed for each backbone."""
    cross_nll: float = Field(default=Gates.cross_nll, gt=0)
    """Of the proxy: largest cross NLL, nat a residue."""
    sc_rmsd_nm: float = Field(default=0.2, gt=0)
    """Of folding: scRMSD that the best sequence stays below, nm."""


class NoveltyGate(Config):
    """How far is the nearest training domain?"""

    tm: _Tm = 0.5
    """Largest TM-score, by the sample's length, to a training domain of about its length."""
    shortlist: int = Field(default=50, ge=1)
    """Training domains that a sample is aligned to: those of the most similar contact maps."""


class DistinctGate(Config):
    """Is the sample another than all that were kept before it?"""

    tm: _Tm = 0.5
    """Two samples with a higher TM-score, the mean by their two lengths, count as one."""
    shortlist: int = Field(default=50, ge=0)
    """Kept samples that a sample is aligned to: those of the most similar contact maps, until one
    is the same; 0 is all of them."""


class ProteinScreen(Screen):
    """Gates in their order; each sees only what passed those before it. `null` leaves one out."""

    geometry: GeometryGate | None = GeometryGate()
    """Clashes, breaks, size, handedness, content."""
    design: DesignGate | None = DesignGate()
    """Whether a sequence fits."""
    novelty: NoveltyGate | None = None
    """Whether the fold is none of the training domains'."""
    distinct: DistinctGate | None = DistinctGate()
    """Whether it was kept already, by the order of the samples' numbers."""

    @property
    def needs_tools(self) -> bool:
        """Whether sequences are designed."""
        return self.design is not None

    @model_validator(mode="after")
    def _screens(self) -> ProteinScreen:
        if not (self.geometry or self.design or self.novelty or self.distinct):
            raise ValueError("there is no gate")
        return self
