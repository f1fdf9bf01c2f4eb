"""The character of a street, and what each stretch of its two sides holds."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Lot", "Plan", "Side", "draw_plan"]

KINDS = ("house", "garden", "field")


@dataclass(frozen=True)
class Lot:
    """A stretch of one side: metres along the road from ``start`` to ``end``."""

    kind: str
    start: float
    end: float


@dataclass(frozen=True)
class Side:
    """One side of the street; distances are from the middle of the road, metre.

    Attributes:
        sign: +1 left, -1 right.
        kerb: Edge of the carriageway, parking lane included.
        walk: Outer edge of the pavement.
        front: Where the houses stand.
        parked: Share of the parking places that are taken.
        edge: What parts the pavement from the gardens.
        trees: Mean distance of the trees on the pavement, metre.
        lots: What stands there, along the road; side streets are the gaps between lots.
    """

    sign: int
    kerb: float
    walk: float
    front: float
    parked: float
    edge: str
    trees: float
    lots: tuple[Lot, ...]


@dataclass(frozen=True)
class Plan:
    """A street: half the width of the two lanes, both sides, and its side streets.

    Attributes:
        lanes: Half the width of the two driven lanes, metre.
        sides: Left and right.
        crossings: First and last s of each side street.
        storeys: Usual height of its houses.
        green: Density of trees and bushes, about 1-5.
    """

    lanes: float
    sides: tuple[Side, Side]
    crossings: tuple[tuple[float, float], ...]
    storeys: float
    green: float


def draw_plan(rng: np.random.Generator, ends: tuple[float, float]) -> Plan:
    """Draw a street between narrow and urban, and wide and green."""
    lanes = rng.uniform(2.9, 4.2)
    open_land = rng.beta(0.5, 2.0)
    crossings = _draw_crossings(rng, ends)
    left, right = (_draw_side(rng, sign, lanes, open_land, ends, crossings) for sign in (1, -1))
    return Plan(lanes, (left, right), crossings, rng.uniform(1.8, 3.8), rng.uniform(1.5, 4.5))


def _draw_crossings(
    rng: np.random.Generator, ends: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    crossings, s = [], ends[0] + rng.uniform(10, 80)
    while s < ends[1] - 15:
        crossings.append((s, s + rng.uniform(6, 11)))
        s += rng.uniform(35, 110)
    return tuple(crossings)


def _draw_side(
    rng: np.random.Generator,
    sign: int,
    lanes: float,
    open_land: float,
    ends: tuple[float, float],
    crossings: tuple[tuple[float, float], ...],
) -> Side:
    parked = rng.choice([0.0, rng.uniform(0.2, 0.8)], p=[0.4, 0.6])
    kerb = lanes + (2.1 if parked else 0.0)
    walk = kerb + rng.uniform(1.2, 2.8)
    front = walk + rng.choice([0.0, rng.uniform(2.0, 10.0)], p=[0.12, 0.88])
    edge = rng.choice(["wall", "fence", "hedge", "none"])
    shares = np.array([1.0 - open_land, 0.25 + 0.3 * open_land, 0.7 * open_land])
    lots = _draw_lots(rng, ends, crossings, shares / shares.sum())
    return Side(sign, kerb, walk, front, float(parked), str(edge), rng.uniform(10, 80), lots)


def _draw_lots(
    rng: np.random.Generator,
    ends: tuple[float, float],
    crossings: tuple[tuple[float, float], ...],
    shares: np.ndarray,
) -> tuple[Lot, ...]:
    """Fill the stretches between the side streets, each lot as long as its kind asks for."""
    lengths = {"house": (8, 22), "garden": (4, 16), "field": (20, 50)}
    starts = [ends[0], *(end for _, end in crossings)]
    stops = [*(start for start, _ in crossings), ends[1]]
    lots = []
    for start, stop in zip(starts, stops, strict=True):
        s = start + 1.5
        while s < stop - 6:
            kind = str(rng.choice(KINDS, p=shares))
            end = min(s + rng.uniform(*lengths[kind]), stop - 1.5)
            lots.append(Lot(kind, s, end))
            s = end + (rng.choice([0.0, rng.uniform(1.0, 4.0)]) if kind == "house" else 0.0)
    return tuple(lots)
