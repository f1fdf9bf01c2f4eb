"""Training domains of the samples' sizes, and their descriptors, computed once for all sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from domains.errors import FewstepError
from domains.files.provenance import named, sha256, write_json
from domains.files.regular import read_json_object
from domains.protein.data.dataset import PACKED, SPLITS, load_domains
from domains.protein.evaluate_settings import DESCRIPTORS
from domains.protein.metrics.folds.distribution import described
from domains.protein.metrics.geometry import secondary_structure

__all__ = ["References", "write_descriptors"]


@dataclass(frozen=True, eq=False)
class References:
    """Training domains that samples are compared with, maybe none.

    Attributes:
        chains: Cα coordinates, nm.
        codes: Their CATH codes.
        descriptors: What ``described`` makes of them.
    """

    chains: Sequence[Float[np.ndarray, "_ 3"]]
    codes: Sequence[str]
    descriptors: Float[np.ndarray, "d _"]

    def __len__(self) -> int:
        """Return the number of domains."""
        return len(self.chains)

    @staticmethod
    @lru_cache(maxsize=4)
    def of(
        data: str | None, shortest: int, longest: int, known: Path | None = None
    ) -> "References":
        """Return the training domains of about the sizes of samples.

        Args:
            data: File of packed domains; None for those of the package.
            shortest: Residues of the shortest sample.
            longest: Residues of the longest.
            known: What ``write_descriptors`` has written; domains that are not in it are
                described here, with the same result, which takes 2 ms each.

        Raises:
            FewstepError: What is known is of other domains or programs, or can't be read.
        """
        domains = load_domains(data)
        near = _near(data, shortest, longest)
        chains = [np.array(domains.points(int(index))) for index in near]
        rows = _read(known, _made_of(data)) if known else {}
        new = [k for k, index in enumerate(near) if int(index) not in rows]
        found = np.empty((len(near), len(DESCRIPTORS)))
        found[new] = described(chains[k] for k in new)
        for k, index in enumerate(near):
            if int(index) in rows:
                found[k] = rows[int(index)]
        return References(chains, [domains.cath[int(index)] for index in near], found)


def write_descriptors(path: Path, data: str | None, shortest: int, longest: int) -> None:
    """Describe the training domains that samples of these sizes are compared with.

    The JSON file says of which domains, and with which programs: it is refused elsewhere.
    """
    near = _near(data, shortest, longest)
    found = References.of(data, shortest, longest).descriptors
    rows = {"domains": near.tolist(), "descriptors": found.tolist()}
    write_json(path, {"made_of": _made_of(data), **rows})


def _near(data: str | None, shortest: int, longest: int) -> Int[np.ndarray, " d"]:
    """Return the numbers of the training domains of about these sizes."""
    known = load_domains(data)
    train = known.split == SPLITS.index("train")
    sizes = (known.lengths >= 0.8 * shortest) & (known.lengths <= 1.25 * longest)
    return np.flatnonzero(train & sizes)


@lru_cache(maxsize=4)
def _made_of(data: str | None) -> dict[str, str]:
    programs = {name: named(name) for name in ("fewstep", "numpy")}
    return {
        "data_sha256": sha256(Path(data) if data else PACKED),
        "tools": ", ".join([secondary_structure.tool(), *programs.values()]),
    }


def _read(path: Path, made_of: dict[str, str]) -> dict[int, list[float]]:
    """Return the descriptors in a file by the number of their domain."""
    do = "Delete it, and run the workflow again"
    try:
        content = read_json_object(path)
        table = np.array(content["descriptors"], dtype=float).reshape(-1, len(DESCRIPTORS))
        rows = dict(zip(map(int, content["domains"]), table.tolist(), strict=True))
        said = dict(content["made_of"])
    except (ValueError, KeyError, TypeError) as error:
        raise FewstepError(f"{path} holds no descriptors", got=error, do=do) from error
    if said != made_of:
        differ = [name for name in made_of if said.get(name) != made_of[name]]
        raise FewstepError(
            f"{path} was made of other data or by other programs",
            expected=", ".join(made_of[name] for name in differ),
            got=", ".join(str(said.get(name)) for name in differ),
            do=do,
        )
    return rows
