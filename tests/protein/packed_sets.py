"""Small sets of chains, as the builder of the packed set would return them."""

import numpy as np

__all__ = ["built"]


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
