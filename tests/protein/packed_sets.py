"""Small sets of chains, as the builder of the packed set would return them."""

from pathlib import Path

import numpy as np

from domains.protein.data.dataset import SPLITS, CathDomains, load_domains, save_domains

__all__ = ["built", "pack_class"]


def built(lengths: list[int]) -> dict[str, np.ndarray]:
    """Return random chains with steps of both signs, as the builder would."""
    stream = np.random.default_rng(7)
    residues = sum(lengths)
    steps = stream.integers(-420, 421, (residues, 3))
    return {
        "positions": (20000 + np.cumsum(steps, axis=0)).astype(np.int32),
        "lengths": np.array(lengths, dtype=np.int32),
        "ids": np.array([f"1ab{k:02d}A00" for k in range(len(lengths))]),
        "cath": np.array([f"1.10.{k}.10" for k in range(len(lengths))]),
        "split": np.array([k % 3 for k in range(len(lengths))], dtype=np.int8),
        "sequences": np.array("".join(chr(65 + k % 26) for k in range(residues))),
    }


def pack_class(
    path: Path, name: str, splits: tuple[str, ...] = SPLITS, code: str = ""
) -> CathDomains:
    """Pack some of the bundled domains of a CATH class, of 50 to 70 residues, as a user's own.

    Args:
        path: The file to write.
        name: Of the class.
        splits: Which domains, thirty of each.
        code: CATH code that they all get; their own if not given.
    """
    known = load_domains().subset(None, 50, 70)
    ours = np.array([code.startswith(f"{name}.") for code in known.cath])
    members = [np.flatnonzero(ours & (known.split == SPLITS.index(one)))[:30] for one in splits]
    chosen = np.concatenate(members).tolist()
    points = np.concatenate([known.points(k) for k in chosen])
    built = {
        "positions": np.round(1000 * points).astype(np.int64),
        "lengths": known.lengths[chosen],
        "ids": np.array([f"my_{known.ids[k]}" for k in chosen]),
        "cath": np.array([code or known.cath[k] for k in chosen]),
        "split": known.split[chosen],
        "sequences": np.array("".join(known.sequences[k] for k in chosen)),
    }
    save_domains(path, built)
    return load_domains(path)
