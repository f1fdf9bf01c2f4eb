"""What is measured of backbones, as YAML says it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from domains.config.sections import Evaluate

__all__ = ["DESCRIPTORS", "ProteinEvaluate"]

# Plain descriptors of a chain, in the order of ``metrics/similarity/descriptors.py``.
DESCRIPTORS = ("helix", "strand", "rg_ratio", "asphericity", "contacts", "contact_order")


class ProteinEvaluate(Evaluate):
    """What is measured of backbones."""

    proxy: bool = True
    """Measure the designability proxy (needs the ProteinMPNN weights)."""
    judged: int | None = Field(default=1000, ge=2)
    """Of the measured samples, those that networks judge (ProteinMPNN, folding, fold classifier),
    drawn at random; null is all of them."""
    aligned: int | None = Field(default=500, ge=2)
    """Of the measured samples, those whose similarity to each other and to known structures is
    measured, drawn at random; null is all of them."""
    pairs: int = Field(default=5000, ge=1)
    """Pairs of one length that the mean TM-score is estimated from, drawn at random; clusters are
    those of as many samples as have so many pairs."""
    novelty_shortlist: int = Field(default=50, ge=0)
    """Training domains that each sample is aligned to; 0 is off."""
    diversity: bool = True
    """Measure pairwise similarity and clusters."""
    similarity: Literal["tmalign", "foldseek"] = "tmalign"
    """Program behind clusters and novelty: TM-align for small sets, Foldseek as published."""
    foldseek_program: str | None = None
    """Foldseek's path; the one on the PATH if not given."""
    novelty_database: str | None = None
    """Foldseek database to search for novelty, such as the PDB; training domains if not given."""
    folding_model: str | None = None
    """Folding weights (path, or hub name of ESMFold's) for real designability; off if not given."""
    folding_program: Literal["esmfold", "openfold3"] = "esmfold"
    """What folds the designed sequences; published numbers are ESMFold's."""
    fold_classifier: str | None = None
    """GearNet-Cα weights (`gearnet_ca.pth`) for FPSD, fS and fJSD; off if not given."""
    fold_references: dict[Literal["pdb", "afdb"], str] = Field(default={})
    """Reference statistics for FPSD and fJSD (`pdb_eval_ca_features.pth` and its like)."""

    @property
    def needs_gpu(self) -> bool:
        """Whether designed sequences are folded."""
        return self.folding_model is not None

    @model_validator(mode="after")
    def _references_need_a_classifier(self) -> ProteinEvaluate:
        if self.fold_references and not self.fold_classifier:
            raise ValueError("fold_references are of no use without fold_classifier")
        return self

    @model_validator(mode="after")
    def _foldseek_is_chosen(self) -> ProteinEvaluate:
        if self.similarity != "foldseek" and (self.foldseek_program or self.novelty_database):
            raise ValueError("foldseek_program and novelty_database need similarity: foldseek")
        return self

    def measures_all(self, count: int) -> bool:
        """Return whether every measure is of all samples of a set."""
        drawn = (self.judged, self.aligned)
        return super().measures_all(count) and all(one is None or one >= count for one in drawn)

    @property
    def files(self) -> list[str]:
        """Return the files that must be there before anything is measured."""
        return [
            *([f"{self.novelty_database}.dbtype"] if self.novelty_database else []),
            *([self.fold_classifier] if self.fold_classifier else []),
            *self.fold_references.values(),
        ]
