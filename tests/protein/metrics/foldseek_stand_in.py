"""A program that checks what it is asked as Foldseek, and answers by the lengths of chains."""

import sys
from pathlib import Path

import torch

# As in the paper of Proteina, but for its fourth column, lddt.
CLUSTER = "--alignment-type 1 --cov-mode 0 --min-seq-id 0 --tmscore-threshold 0.5"
SEARCH = (
    "--alignment-type 1 --exhaustive-search --tmscore-threshold 0.0 --max-seqs 10000000000"
    " --format-output query,target,alntmscore"
)
_PROGRAM = """#!{python}
import sys
from pathlib import Path

if sys.argv[1:] == ["version"]:
    print({version!r})
    sys.exit()
module, source, *places = sys.argv[1:5] if sys.argv[1] == "easy-cluster" else sys.argv[1:6]
flags = sys.argv[2 + 1 + len(places):]
wanted = {{"easy-cluster": {cluster!r}, "easy-search": {search!r}}}[module].split()
assert flags == [*wanted, "--threads", {threads!r}], flags


def lengths(folder):
    found = {{}}
    for path in sorted(Path(folder).iterdir()):
        atoms = [line for line in path.read_text().splitlines() if line.startswith("ATOM")]
        assert atoms and all(line[12:16] == " CA " for line in atoms)
        found[path.stem] = len(atoms)
    return found


samples = lengths(source)
Path(places[-1]).mkdir()
(Path(places[-1]) / "rubbish").write_text("x")
if module == "easy-cluster":
    heads = {{}}
    for name, length in samples.items():
        heads.setdefault(length, name)
    rows = [(heads[length], name) for name, length in samples.items()]
    output = places[0] + "_cluster.tsv"
else:
    target = Path(places[0])
    if target.is_dir():
        entries = lengths(target)
    else:
        entries = {{k: int(v) for k, v in map(str.split, target.read_text().splitlines())}}
    rows = [
        (name, entry, format(min(n, m) / max(n, m), ".3E"))
        for name, n in samples.items()
        for entry, m in entries.items()
    ]
    output = places[1]
text = "".join("\\t".join(row) + "\\n" for row in reversed(rows))
{damage}
Path(output).write_text(text)
"""


def stand_in(folder: Path, damage: str, version: str) -> None:
    """Write the program; ``damage`` is Python that changes ``text`` before it is written."""
    text = _PROGRAM.format(
        python=sys.executable,
        version=version,
        cluster=CLUSTER,
        search=SEARCH,
        threads=str(torch.get_num_threads()),
        damage=damage,
    )
    folder.mkdir(exist_ok=True)
    (folder / "foldseek").write_text(text)
    (folder / "foldseek").chmod(0o755)


def database(folder: Path, **entries: int) -> Path:
    """Write what the stand-in takes for a database."""
    path = folder / "known"
    path.write_text("".join(f"{name} {length}\n" for name, length in entries.items()))
    Path(f"{path}.dbtype").touch()
    return path
