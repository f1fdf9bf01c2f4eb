"""Ten chains of another program on their way through a screen."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from protein.chains import native, screw
from tiny_run import content

from domains.protein.files.structure import write_pdb
from domains.stages.generate import generate
from domains.stages.screen import screen
from domains.stages.sift import sift

__all__ = ["BAD", "COUNT", "OF_THE_WAY", "config", "facts", "make_place", "screened", "sifted"]

GATES: dict[str, Any] = {"design": None, "distinct": {"tm": 0.6, "shortlist": 0}}
# Natives 0 to 5, of which 2 and 4 come again; one mirrored, one stretched.
COUNT, COPIES, BAD = 10, {6: 2, 7: 4}, {8: "right_handed", 9: "bond_fraction"}
# What differs from run to run, and from shard to shard.
OF_THE_WAY = ["shard", "geometry_seconds", "design_seconds", "sampling_seconds"]


def make_place(root: Path) -> Path:
    """Write ten chains of another program into a directory, ``theirs``."""
    chains = [native(k, 40, 48) for k in (0, 1, 2, 4, 5, 6)]
    chains += [chains[k] + 1.0 for k in COPIES.values()]
    chains += [screw(40, -100.0) * 1.0, 1.2 * chains[0]]
    for k, chain in enumerate(chains):
        write_pdb(root / f"theirs/{k}.pdb", chain)
    return root


def config(place: Path, shard_size: int = 4, **gates_: Any) -> Path:
    """Write the settings of a run that screens them."""
    limits = {"rg_ratio": [0, 9], "bond_fraction": 0.5}
    wanted = {"geometry": limits, **GATES, **gates_}
    settings = content(
        sets={"theirs": {"files": "theirs", "label": "Theirs"}},
        generate={"shard_size": shard_size},
        screen=wanted,
    )
    settings["sets"] = {"theirs": settings["sets"]["theirs"]}
    path = place / "run.json"
    path.write_text(json.dumps(settings))
    return path


def sifted(path: Path, out: Path, shards: int) -> None:
    """Make the shards that are not there, and sift them."""
    for k in range(shards):
        shard = out / f"samples/shard_{k:04d}"
        if not shard.exists():
            generate(path, "theirs", k, shard)
        sift(path, "theirs", k, shard, out / f"state/{k}", out / f"sifted/shard_{k:04d}.csv")


def screened(path: Path, out: Path, shards: int = 3) -> pd.DataFrame:
    """Sift and screen; returns what is kept."""
    sifted(path, out, shards)
    screen(path, "theirs", out / "samples", out / "sifted", out / "state/all", out / "kept")
    return pd.read_csv(out / "kept/kept.csv")


def facts(out: Path) -> dict[str, Any]:
    """Return what a screen says of itself."""
    return json.loads((out / "kept/screen.json").read_text())
