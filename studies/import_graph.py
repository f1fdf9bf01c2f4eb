"""Draw the import graph of the packages for docs/explanation/architecture.md.

    python -m studies.import_graph      # writes it there

An arrow is an import, at any depth of the code; arrows that follow from others are left out.
"""

import re
from itertools import permutations
from pathlib import Path

import grimp

PAGE = Path("docs/explanation/architecture.md")
# From the floor up; what stands together is one room.
ROOMS = {
    "errors, memory, lazy, device": (
        *("domains.errors", "domains.memory", "domains.lazy", "domains.device"),
    ),
    "settings, batch": ("domains.settings", "domains.batch"),
    "files": ("domains.files",),
    "manifest": ("domains.manifest",),
    "distillation": ("domains.distillation",),
    "config": ("domains.config",),
    "evaluation": ("domains.evaluation",),
    "field": ("domains.field", "domains.capabilities"),
    "protein": ("domains.protein",),
    "lidar": ("domains.lidar",),
    "monitoring": ("domains.monitoring",),
    "stages": ("domains.stages",),
    "cli": ("domains.cli",),
}


def arrows() -> list[tuple[str, str]]:
    """Return the imports between rooms, transitively reduced."""
    graph = grimp.build_graph("domains")
    room_of = {
        module: room
        for module in graph.modules
        for room, packages in ROOMS.items()
        if any(module == one or module.startswith(f"{one}.") for one in packages)
    }
    found = {
        (room_of[module], room_of[other])
        for module in room_of
        for other in graph.find_modules_directly_imported_by(module)
        if other in room_of and room_of[module] != room_of[other]
    }
    reach = set(found)
    for middle, first, last in permutations(ROOMS, 3):
        if (first, middle) in reach and (middle, last) in reach:
            reach.add((first, last))
    implied = {
        (first, last)
        for first, last in found
        if any((first, middle) in reach and (middle, last) in reach for middle in ROOMS)
    }
    order = list(ROOMS)
    return sorted(found - implied, key=lambda pair: [order.index(room) for room in pair])


def picture() -> str:
    """Draw the arrows as a Mermaid graph."""
    names = {room: f"r{number}" for number, room in enumerate(ROOMS)}
    rooms = [f'  {name}["{room}"]' for room, name in names.items()]
    lines = [f"  {names[first]} --> {names[last]}" for first, last in arrows()]
    return "\n".join(["```mermaid", "graph TD", *reversed(rooms), *reversed(lines), "```"])


def drawn(page: str) -> str:
    """Return the page with the picture as it is now."""
    return re.sub(r"```mermaid\n.*?```", lambda _: picture(), page, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
