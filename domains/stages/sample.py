"""Command: sample protein backbones with a finished student, no settings needed."""

from __future__ import annotations

import logging
from pathlib import Path

from domains.errors import FewstepError

__all__ = ["sample"]

_log = logging.getLogger(__name__)
_MOST = 10_000  # chains; more are a run's (docs/how_to/scale.md)


def sample(
    output: Path = Path("backbones"),
    length: int = 100,
    number: int = 10,
    model: str = "proteina-small-8",
    seed: int = 0,
    precision: str = "32-true",
    backbone: bool = False,
    refine: bool = True,
) -> None:
    """Sample protein backbones: PDB files of Cα atoms, and a picture of all.

    Args:
        output: A new directory, of the PDB files.
        length: Residues of a chain.
        number: Chains.
        model: A student, by its directory or bundled name.
        seed: Decides the noise; another one gives other chains.
        precision: As of generate: 32-true, tf32 or bf16-mixed.
        backbone: Also write N, CA, C and O, rebuilt around the Cα by PULCHRA.
        refine: Make the bonds of each chain ideal; else as the network leaves them.
    """
    from tqdm import tqdm

    from domains.capabilities import Drawing, capability
    from domains.field import load_field
    from domains.files.fresh import fresh_directory
    from domains.protein.files.backbone import require_pulchra
    from domains.stages.students import ProteinStudent

    if not 1 <= number <= _MOST:
        raise FewstepError("bad number of chains", expected=f"1 to {_MOST}", got=number)
    if backbone:
        require_pulchra()
    field, student = load_field("protein"), ProteinStudent(model, precision, refine)
    made = student.samples(length, number, seed)
    fresh_directory(output)
    chains, spent = [], 0.0
    for chain, seconds in tqdm(made, desc="chains", total=number, mininterval=1.0):
        field.write(chain, output, {"formats": ("backbone",) if backbone else ()})
        chains.append(chain)
        spent += seconds
    capability(field, Drawing, "draws nothing").draw(chains, output / "backbones.png")
    each = spent / number
    _log.info("%d chains of %d residues, %.2g s each: %s", number, length, each, output)
    what = "Cα atoms; N, CA, C and O in backbone/" if backbone else "Cα atoms only"
    _log.info("%s. See %s/backbones.png, from blue (N) to red (C)", what, output)
