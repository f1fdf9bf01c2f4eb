"""One street from one seed: everything that stands, everything that moves, and the road."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from domains.lidar.simulator.buildings import draw_house
from domains.lidar.simulator.furniture import (
    draw_bin,
    draw_fence,
    draw_person,
    draw_pole,
    draw_wall,
)
from domains.lidar.simulator.ground import draw_ground
from domains.lidar.simulator.labels import Label
from domains.lidar.simulator.meshes import Mesh, merged, placed
from domains.lidar.simulator.plan import Lot, Plan, Side, draw_plan
from domains.lidar.simulator.road import Road, draw_road
from domains.lidar.simulator.vegetation import draw_bush, draw_hedge, draw_tree
from domains.lidar.simulator.vehicles import draw_car

__all__ = ["Mover", "Street", "draw_street"]

# Who drives alone keeps away from parked cars: hardly a return of KITTI's is within 3 m.
MIDDLE = 0.35


@dataclass(frozen=True)
class Mover:
    """Something that drives or walks along the road, ``speed`` metres a scan."""

    mesh: Mesh
    start: float
    offset: float
    speed: float


@dataclass(frozen=True)
class Street:
    """A street and who moves in it.

    Attributes:
        road: Line of the road and lie of the land.
        static: All that stands.
        movers: All that moves; left out of maps by its label.
        lane: Where the sensor drives, metres to the left of the middle (so negative).
    """

    road: Road
    static: Mesh
    movers: tuple[Mover, ...]
    lane: float

    def moving(self, scan: int) -> Mesh | None:
        """Return the mesh of the moving objects during a scan; None when there are none."""
        meshes = []
        for mover in self.movers:
            s = mover.start + mover.speed * scan
            meshes.append(_stand(self.road, mover.mesh, s, mover.offset, mover.speed < 0))
        return merged(meshes) if meshes else None


def draw_street(rng: np.random.Generator, length: float, step: float) -> Street:
    """Draw a street that the sensor passes for ``length`` metres, ``step`` metres a scan."""
    road = draw_road(rng, length)
    plan = draw_plan(rng, road.ends)
    parts = [draw_ground(rng, road, plan)]
    for side in plan.sides:
        parts += _parked(rng, road, side)
        parts += _pavement(rng, road, side)
        for lot in side.lots:
            parts += _lot(rng, road, plan, side, lot)
    lane = -MIDDLE * plan.lanes
    return Street(road, merged(parts), tuple(_movers(rng, plan, lane, length, step)), lane)


def _stand(road: Road, mesh: Mesh, s: float, d: float, turned: bool = False) -> Mesh:
    """Put a mesh on the ground at street coordinates, along the road or against it."""
    return placed(mesh, road.at(s, d), float(road.heading(s)) + np.pi * turned)


def _parked(rng: np.random.Generator, road: Road, side: Side) -> Iterator[Mesh]:
    places = [s for lot in side.lots for s in np.arange(lot.start + 3, lot.end - 2, 6.0)]
    for s in places:
        if rng.random() < side.parked:
            d = side.sign * (side.kerb - 1.05 + rng.normal(0, 0.08))
            car = draw_car(rng, Label.CAR)
            yield _stand(road, car, s + rng.normal(0, 0.3), d, rng.random() < (side.sign > 0))


def _pavement(rng: np.random.Generator, road: Road, side: Side) -> Iterator[Mesh]:
    """Poles, bins and people standing about, on the pavement."""
    draws = {draw_pole: 18.0, draw_bin: 25.0, _standing: 45.0, draw_tree: side.trees}
    for draw, apart in draws.items():
        s = road.ends[0] + rng.uniform(0, apart)
        while s < road.ends[1]:
            d = side.sign * rng.uniform(side.kerb + 0.3, side.walk - 0.3)
            yield _stand(road, draw(rng), s, d, side.sign > 0)
            s += rng.exponential(apart) + 1.0


def _standing(rng: np.random.Generator) -> Mesh:
    return draw_person(rng, Label.PERSON)


def _lot(rng: np.random.Generator, road: Road, plan: Plan, side: Side, lot: Lot) -> Iterator[Mesh]:
    if side.front > side.walk or lot.kind == "garden":
        yield from _edge(rng, road, side, lot)
    if lot.kind == "house":
        yield from _house(rng, road, plan, side, lot)
        yield from _greenery(rng, road, plan.green, side, lot, (side.walk, side.front))
        behind = (side.front + 14.0, side.front + 45.0)
    else:
        behind = (side.walk + 1.0, side.walk + 45.0)
    yield from _greenery(rng, road, plan.green, side, lot, behind)
    if lot.kind != "field" and rng.random() < 0.5:
        yield from _house(rng, road, plan, side, lot, back=rng.uniform(25, 40))


def _edge(rng: np.random.Generator, road: Road, side: Side, lot: Lot) -> Iterator[Mesh]:
    """Part the lot from the pavement, with a gate in some."""
    if side.edge == "none" or lot.kind == "field":
        return
    end = lot.end - rng.choice([0.0, 3.0])
    # Pieces short enough to follow the bend.
    pieces = max(int((end - lot.start) / 6), 1)
    length = (end - lot.start) / pieces
    for piece in range(pieces):
        s, d = lot.start + (piece + 0.5) * length, side.sign * (side.walk + 0.4)
        if side.edge == "hedge":
            mesh = draw_hedge(rng, length, rng.uniform(0.5, 0.9), rng.uniform(0.8, 2.0))
        else:
            mesh = (draw_wall if side.edge == "wall" else draw_fence)(rng, length)
        yield _stand(road, mesh, s, d)


def _house(
    rng: np.random.Generator, road: Road, plan: Plan, side: Side, lot: Lot, back: float = 0.0
) -> Iterator[Mesh]:
    storeys = max(int(np.rint(rng.normal(plan.storeys, 0.6))), 1)
    mesh = draw_house(rng, lot.end - lot.start, rng.uniform(8, 13), storeys)
    setback = back + (abs(rng.normal(0, 0.6)) if side.front > side.walk else 0.0)
    d = side.sign * (side.front + 0.1 + setback)
    # A house is drawn with its body to the left: on the right it is turned round.
    yield _stand(road, mesh, (lot.start + lot.end) / 2, d, side.sign < 0)


def _greenery(
    rng: np.random.Generator,
    road: Road,
    density: float,
    side: Side,
    lot: Lot,
    strip: tuple[float, float],
) -> Iterator[Mesh]:
    """Scatter trees and bushes over a strip of the lot, fewer far from the road."""
    depth = strip[1] - strip[0]
    if depth < 1.0:
        return
    sparse = 0.4 if lot.kind == "field" else 1.0
    expected = density * sparse * (lot.end - lot.start) * min(depth, 25.0) / 45
    for _ in range(rng.poisson(expected)):
        s = rng.uniform(lot.start, lot.end)
        d = side.sign * (strip[0] + 0.7 + (depth - 0.7) * rng.beta(1.0, 1.4))
        tall = depth > 4 and rng.random() < 0.55
        yield _stand(road, draw_tree(rng) if tall else draw_bush(rng), s, d)


def _movers(
    rng: np.random.Generator, plan: Plan, lane: float, length: float, step: float
) -> Iterator[Mover]:
    for _ in range(rng.integers(0, 4)):
        oncoming, start = draw_car(rng, Label.MOVING_CAR), rng.uniform(10, length + 60)
        yield Mover(oncoming, start, plan.lanes / 2, -rng.uniform(0.7, 1.3))
    if rng.random() < 0.35:
        yield Mover(draw_car(rng, Label.MOVING_CAR), rng.uniform(9, 30), lane, step)
    for _ in range(rng.integers(0, 5)):
        side = plan.sides[rng.integers(2)]
        d = side.sign * rng.uniform(side.kerb + 0.4, side.walk - 0.4)
        person = draw_person(rng, Label.MOVING_PERSON)
        yield Mover(person, rng.uniform(-20, length + 30), d, float(rng.choice([-0.14, 0.14])))
