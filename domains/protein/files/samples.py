"""Samples as files: what fewstep writes and reads back, and chains that others have made."""

import logging
from pathlib import Path

import numpy as np
import torch

from domains.batch import Sample
from domains.errors import FewstepError
from domains.protein.files.backbone import require_pulchra, write_backbone
from domains.protein.files.remarks import format_remarks, read_condition
from domains.protein.files.structure import read_ca, write_mmcif, write_pdb

__all__ = ["adopt_sample", "read_sample", "write_sample"]

_log = logging.getLogger(__name__)
_FEWEST, _MOST = 5, 9999  # residues: what TM-align takes, and a PDB file
_WIDEST = 99.9  # nm from the centre: what a PDB file has columns for


def write_sample(sample: Sample, directory: Path, formats: tuple[str, ...] = ()) -> list[str]:
    """Write a PDB file of Cα; return the names of all files.

    Args:
        sample: A chain.
        directory: Where to.
        formats: ``cif`` for mmCIF beside it; ``backbone`` for a PDB file of rebuilt N, CA, C and
            O, without which a chain stays, with a warning, that can't be rebuilt.
    """
    points = sample.points.numpy()
    names = [f"{sample.name}.pdb"]
    write_pdb(directory / names[0], points, remarks=format_remarks(sample.condition))
    if "cif" in formats:
        names.append(f"{sample.name}.cif")
        write_mmcif(directory / names[-1], points)
    if "backbone" in formats:
        require_pulchra()
        # In a directory of its own: beside the chain it would count as another sample of it.
        name = f"backbone/{sample.name}.pdb"
        try:
            write_backbone(directory / name, points)
        except FewstepError as error:
            _log.warning("%s: %s", sample.name, error)
        else:
            names.append(name)
    return names


def read_sample(path: Path) -> Sample:
    """Read a file that ``write_sample`` has written, and what the sample was asked to be."""
    points = torch.from_numpy(np.asarray(read_ca(path), dtype=np.float32))
    return Sample(path.stem, points, read_condition(path))


def adopt_sample(path: Path, chain: str | None) -> Sample:
    """Read a chain of another program's structure, centred.

    What ``read_chains`` says holds: residues without Cα are gaps, of alternate locations the
    likeliest counts, ligands and waters are left out.

    Args:
        path: PDB or mmCIF.
        chain: Which chain; None where there is only one.

    Raises:
        FewstepError: It can't be read, there is no such chain or which one is not said, or it has
            fewer residues than TM-align takes, more than a PDB file, or is too wide for one.
    """
    points = read_ca(path, chain)
    points = points - points.mean(0)  # a crystal can lie where a PDB file has no columns for it
    wide = float(np.abs(points).max())
    if not _FEWEST <= len(points) <= _MOST or wide > _WIDEST:
        raise FewstepError(
            f"the chain in {path} can't be measured",
            expected=f"{_FEWEST} to {_MOST} residues within {_WIDEST:g} nm of their centre",
            got=f"{len(points)} within {wide:.3g} nm",
        )
    return Sample(path.stem, torch.from_numpy(points.astype(np.float32)))
