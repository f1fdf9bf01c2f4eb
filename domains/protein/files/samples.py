"""Samples as files: what fewstep writes and reads back, and chains that others have made."""

from pathlib import Path

import numpy as np
import torch

from domains.batch import Sample
from domains.errors import FewstepError
from domains.protein.files.remarks import format_remarks, read_condition
from domains.protein.files.structure import read_ca, write_mmcif, write_pdb

__all__ = ["adopt_sample", "read_sample", "write_sample"]

_FEWEST, _MOST = 5, 9999  # residues: what TM-align takes, and a PDB file


def write_sample(sample: Sample, directory: Path, formats: tuple[str, ...] = ()) -> list[str]:
    """Write a PDB file, and mmCIF beside it where ``formats`` has ``cif``; return their names."""
    points = sample.points.numpy()
    names = [f"{sample.name}.pdb"]
    write_pdb(directory / names[0], points, remarks=format_remarks(sample.condition))
    if "cif" in formats:
        names.append(f"{sample.name}.cif")
        write_mmcif(directory / names[1], points)
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
            fewer residues than TM-align takes or more than a PDB file.
    """
    points = read_ca(path, chain)
    if not _FEWEST <= len(points) <= _MOST:
        raise FewstepError(
            f"the chain in {path} can't be measured",
            expected=f"{_FEWEST} to {_MOST} residues",
            got=len(points),
        )
    # Crystals can lie far from the origin, where a PDB file has no columns for them.
    return Sample(path.stem, torch.from_numpy((points - points.mean(0)).astype(np.float32)))
