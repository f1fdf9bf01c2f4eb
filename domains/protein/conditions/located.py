"""Motif residues of a contig looked up in the structure that they are of."""

from collections.abc import Mapping
from dataclasses import replace

from domains.errors import FewstepError
from domains.protein.conditions.contig import Contig, Part, Residue, chain_label
from domains.protein.files.chains import Chain

__all__ = ["located"]

_DO = "Name chains and residues as the file does in generate.scaffold.contig"


def located(contig: Contig, chains: Mapping[str, Chain], source: str) -> Contig:
    """Look up a contig's motif residues in a structure.

    A range has a residue of each number. Where residues of a range have insertion codes, it runs
    from its first to its last residue in the order of the file.

    Args:
        contig: As parsed from the settings.
        chains: The structure.
        source: Its name, for messages.

    Raises:
        FewstepError: The structure lacks a residue, or a range with insertion codes is no
            stretch of the file; or as ``Contig``.
    """
    parts = [
        part if part.chain is None else replace(part, looked_up=_residues_of(part, chains, source))
        for part in contig.parts
    ]
    return Contig(tuple(parts))


def _residues_of(part: Part, chains: Mapping[str, Chain], source: str) -> tuple[Residue, ...]:
    """Return the residues of a part of the motif."""
    assert part.chain is not None
    if (chain := chains.get(part.chain)) is None:
        names = ", ".join(map(chain_label, chains))
        raise FewstepError(
            f"{source} has no Cα of residue {part.first}", got=f"chains {names}", do=_DO
        )
    known = [Residue(part.chain, *residue) for residue in chain.residues]
    coded = any(residue.code and part.low <= residue.number <= part.high for residue in known)
    if not (coded or any(part.codes)):
        _check_there(part.residues, known, chain, source)
        return part.residues
    _check_there((part.first, part.last), known, chain, source)
    stretch = tuple(known[known.index(part.first) : known.index(part.last) + 1])
    if not stretch or any(not part.low <= one.number <= part.high for one in stretch):
        raise FewstepError(
            f"residues {part.first} to {part.last} are no stretch of {source}",
            expected="insertion codes in the order of the file",
            do="Name the residues in parts, in the order of the file",
        )
    numbers = {residue.number for residue in stretch}
    each = [Residue(part.chain, number) for number in range(part.low, part.high + 1)]
    _check_there([one for one in each if one.number not in numbers], stretch, chain, source)
    return stretch


def _check_there(
    wanted: tuple[Residue, ...] | list[Residue],
    known: tuple[Residue, ...] | list[Residue],
    chain: Chain,
    source: str,
) -> None:
    """Refuse missing residues, naming those of the same number."""
    there = set(known)
    missing = next((residue for residue in wanted if residue not in there), None)
    if missing is None:
        return
    if name := chain.others.get(missing[1:]):
        raise FewstepError(
            f"{source} has no Cα of residue {missing} that is known as an amino acid's",
            got=f"the name {name}",
            do="Give the residue the name of the amino acid that it is made from",
        )
    coded = [str(one) for one in known if one.number == missing.number]
    got = ", ".join(coded) if coded else None
    raise FewstepError(f"{source} has no Cα of residue {missing}", got=got, do=_DO)
