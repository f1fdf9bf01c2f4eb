"""Stands in for ``run_openfold``: reads what it reads and writes what it documents, no more."""

import json
import sys
from pathlib import Path

import numpy as np

from domains.protein.files.structure import write_mmcif

arguments = dict(one[2:].split("=", 1) for one in sys.argv[2:])
queries = json.loads(Path(arguments["query-json"]).read_text())["queries"]
Path(arguments["inference-ckpt-path"]).with_name("calls.json").write_text(
    json.dumps([sys.argv[1], arguments, queries])
)
for name, query in queries.items():
    [chain] = query["chains"]
    if "W" in chain["sequence"]:
        sys.exit("out of memory")
    if "Y" in chain["sequence"]:
        continue
    folder = Path(arguments["output-dir"]) / name / "seed_42"
    folder.mkdir(parents=True)
    count = len(chain["sequence"])
    points = 0.38 * np.arange(count)[:, None] * np.array([1.0, 0.0, 0.0])
    stem = f"{name}_seed_42_sample_1"
    write_mmcif(folder / f"{stem}_model.cif", points)
    (folder / f"{stem}_confidences_aggregated.json").write_text(json.dumps({"avg_plddt": 71.5}))
