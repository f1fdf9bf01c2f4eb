"""Chains that are wrong on purpose, to show which errors a measure sees and which it doesn't.

All take nanometre and an explicit generator, so a seed repeats a decoy exactly.
"""

import numpy as np
from jaxtyping import Float, Int

from domains.errors import FewstepError
from domains.protein.metrics.geometry.chain import check_chain, dihedrals

__all__ = [
    "build",
    "coil",
    "globule",
    "mirrored",
    "noised",
    "segment_shuffled",
    "torsion_perturbed",
    "torsion_shuffled",
]

BOND = 0.38  # nm, Cα to Cα over a trans peptide
# Two residues of a walk never come closer; real chains stay above 0.34 nm (see geometry).
CONTACT = 0.40
# Real proteins hold one residue in about 0.135 nm³ (1.35 cm³/g of partial volume, 110 Da).
_VOLUME = 0.135
_TRIES = 60
_RESTARTS = 200


def build(
    angles: Float[np.ndarray, " a"], torsions: Float[np.ndarray, " t"], bond: float = BOND
) -> Float[np.ndarray, "n 3"]:
    """Return the chain with the given internal coordinates.

    Args:
        angles: Virtual bond angles at the inner residues, degrees, n - 2 of them.
        torsions: Virtual dihedrals, degrees, n - 3 of them; about 50 with angles of 91 is a
            right-handed alpha helix, -170 with 124 a strand.
        bond: Distance of consecutive residues, nanometre.
    """
    if len(angles) != len(torsions) + 1:
        raise FewstepError(
            "internal coordinates don't make a chain",
            expected="one angle more than torsions",
            got=f"{len(angles)} angles and {len(torsions)} torsions",
        )
    theta, phi = np.radians(angles), np.radians(torsions)
    chain = [np.zeros(3), np.array([bond, 0.0, 0.0])]
    chain.append(chain[1] + bond * np.array([-np.cos(theta[0]), np.sin(theta[0]), 0.0]))
    for bend, twist in zip(theta[1:], phi, strict=True):
        before, last = chain[-2] - chain[-3], chain[-1] - chain[-2]
        along = last / np.linalg.norm(last)
        normal = np.cross(before, along)
        normal /= max(float(np.linalg.norm(normal)), 1e-12)
        side = np.cross(normal, along)
        step = (
            -np.cos(bend) * along
            + np.sin(bend) * np.cos(twist) * side
            + np.sin(bend) * np.sin(twist) * normal
        )
        chain.append(chain[-1] + bond * step)
    return np.array(chain)


def noised(
    points: Float[np.ndarray, "n 3"], scale: float, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Return the chain with Gaussian noise of ``scale`` nm on each coordinate."""
    chain = check_chain(points)
    return chain + rng.normal(scale=scale, size=chain.shape)


def mirrored(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Return the mirror image: every distance is right, every helix left-handed."""
    return check_chain(points) * np.array([1.0, 1.0, -1.0])


def torsion_perturbed(
    points: Float[np.ndarray, "n 3"], scale: float, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Return the chain with Gaussian noise of ``scale`` degrees on each torsion: the fold drifts.

    Locally it stays nearly as it was: errors add up along the chain.
    """
    angles, torsions = _internal(points)
    return build(angles, torsions + rng.normal(scale=scale, size=torsions.shape))


def torsion_shuffled(
    points: Float[np.ndarray, "n 3"], rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Return a chain with the same local angles in another order: local statistics, no fold."""
    angles, torsions = _internal(points)
    order = _reordered(len(torsions), rng)
    return build(np.append(angles[0], angles[1:][order]), torsions[order])


def segment_shuffled(
    points: Float[np.ndarray, "n 3"], rng: np.random.Generator, size: int = 10
) -> Float[np.ndarray, "n 3"]:
    """Return a chain whose stretches of ``size`` torsions swap places: helices stay, the fold goes.

    Args:
        points: Cα coordinates of at least 4 residues, nanometre.
        rng: Source of the order.
        size: Residues in a stretch; the last one is shorter.
    """
    angles, torsions = _internal(points)
    pieces = np.array_split(np.arange(len(torsions)), max(1, len(torsions) // size))
    order = np.concatenate([pieces[i] for i in _reordered(len(pieces), rng)])
    return build(np.append(angles[0], angles[1:][order]), torsions[order])


def coil(length: int, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Return a self-avoiding walk with protein-like bonds and angles, not compact."""
    return _walk(length, np.inf, rng)


def globule(length: int, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Return a self-avoiding walk in a sphere of a protein's size: compact, but no fold.

    The sphere holds twice the volume that the residues of a folded protein fill, so that
    the walk can end; its Rg still is a native one.
    """
    return _walk(length, float(np.cbrt(2 * 3 * _VOLUME * length / (4 * np.pi))), rng)


def _reordered(count: int, rng: np.random.Generator) -> Int[np.ndarray, " k"]:
    """Return a random order that isn't the given one, wherever there is another."""
    order = rng.permutation(count)
    while count > 1 and (order == np.arange(count)).all():
        order = rng.permutation(count)
    return order


def _internal(
    points: Float[np.ndarray, "n 3"],
) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " t"]]:
    """Return the virtual bond angles and dihedrals of a chain, degrees."""
    steps = np.diff(check_chain(points, least=4), axis=0)
    steps /= np.maximum(np.linalg.norm(steps, axis=-1, keepdims=True), 1e-12)
    cosine = np.clip(-(steps[:-1] * steps[1:]).sum(-1), -1.0, 1.0)
    return np.degrees(np.arccos(cosine)), dihedrals(points)


def _walk(length: int, radius: float, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Return a self-avoiding walk inside a sphere around 0, stepping back from dead ends."""
    for _ in range(_RESTARTS):
        chain = np.zeros((length, 3))
        count = 1
        for _ in range(20 * length):
            if count == length:
                return chain
            step = _next(chain[:count], radius, rng)
            if step is None:
                count = max(1, count - 10)
            else:
                chain[count] = step
                count += 1
    raise FewstepError(
        f"no self-avoiding walk of {length} residues found", do="Take another seed or a shorter one"
    )


def _next(
    chain: Float[np.ndarray, "n 3"], radius: float, rng: np.random.Generator
) -> Float[np.ndarray, " 3"] | None:
    """Return an allowed next residue of a walk, or None at a dead end."""
    toward = rng.normal(size=(_TRIES, 3))
    options = chain[-1] + BOND * toward / np.linalg.norm(toward, axis=-1, keepdims=True)
    good = np.linalg.norm(options, axis=-1) <= radius
    if len(chain) > 1:
        # Angles of real chains lie in 80-150 degrees: i to i+2 in 0.49-0.73 nm.
        jump = np.linalg.norm(options - chain[-2], axis=-1)
        near = np.linalg.norm(options[:, None] - chain[None, :-1], axis=-1).min(-1)
        good &= (jump >= 0.49) & (jump <= 0.73) & (near >= CONTACT)
    return options[good][0] if good.any() else None
