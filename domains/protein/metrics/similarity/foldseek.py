"""Clusters and nearest known structures by Foldseek, the program behind the published numbers.

Foldseek (van Kempen et al., Nat. Biotechnol. 42 (2024) 243; GPL-3.0) is called as a program, and
only where it is installed. The settings are those of the Proteina paper (Geffner et al., ICLR
2025), whose samples are Cα traces of alanines too; Foldseek rebuilds their backbones.

Its ``alntmscore`` is the TM-score by the aligned part: the shorter of the two spans. Before release
10 it was divided by the alignment's length, gaps included, or by that of a column printed before
it (steineggerlab/foldseek, issue 312), so those versions are refused.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from domains.errors import FewstepError
from domains.lazy import torch
from domains.protein.files.structure import format_pdb
from domains.protein.metrics.geometry.chain import check_chain, is_whole
from domains.protein.settings import ProteinEvaluate

__all__ = ["Foldseek", "chosen", "find_foldseek"]

_LEAST, _LEAST_COMMIT = 10, "941cd33"
_CLUSTER = "--alignment-type 1 --cov-mode 0 --min-seq-id 0 --tmscore-threshold 0.5"
_SEARCH = (
    "--alignment-type 1 --exhaustive-search --tmscore-threshold 0.0 --max-seqs 10000000000"
    " --format-output query,target,alntmscore"
)
_SHORTEST = 5  # residues; Foldseek leaves out chains below 4
# A search writes a line for each sample and entry, and alignments ten times as large: some
# gigabytes for so many samples and the PDB.
_BATCH = 20
_NAME = re.compile(r"s([0-9]{7})(?:\.pdb)?")  # Foldseek leaves out the suffix since release 9
# The score divides by one residue less than the span has, so a copy has a little more than 1.
_MOST_SCORE = 2.0
_SECONDS = 60  # to say the version
_INSTALL = (
    "Install it (conda install -c conda-forge -c bioconda foldseek) or name it as"
    " evaluate.foldseek_program, or set evaluate.similarity to tmalign"
)


@dataclass(frozen=True)
class Foldseek:
    """A Foldseek whose scores are right; see ``find_foldseek``.

    Args:
        program: Its path.
        version: As the program reports it.
    """

    program: str
    version: str

    @property
    def cluster_tool(self) -> str:
        """The ``tool`` column of ``clusters``."""
        return f"foldseek {self.version} easy-cluster {_CLUSTER}"

    @property
    def search_tool(self) -> str:
        """The ``tool`` column of ``search`` and ``novelty``."""
        return f"foldseek {self.version} easy-search {_SEARCH}"

    def clusters(self, samples: Sequence[Float[np.ndarray, "_ 3"]]) -> Int[np.ndarray, " n"]:
        """Return the number of each sample's cluster: the index of its representative.

        Args:
            samples: Finite Cα chains of any lengths, nm.

        Raises:
            FewstepError: Foldseek fails, or doesn't put each sample into one cluster.
        """
        with tempfile.TemporaryDirectory(prefix="fewstep_foldseek_") as name:
            folder = Path(name)
            _write(samples, folder / "samples")
            places = folder / "samples", folder / "found", folder / "work"
            self._call("easy-cluster", *places, *_CLUSTER.split())
            rows = list(_rows(folder / "found_cluster.tsv", 2))
        count = len(samples)
        heads = {_number(member, count): _number(head, count) for head, member in rows}
        if len(rows) != count or len(heads) != count:
            raise FewstepError(
                "foldseek left out samples, or put them into several clusters",
                expected=f"{count} different ones",
                got=f"{len(heads)} in {len(rows)} rows",
            )
        return np.array([heads[index] for index in range(count)], dtype=int)

    def search(
        self, samples: Sequence[Float[np.ndarray, "_ 3"]], database: Path
    ) -> tuple[Float[np.ndarray, " n"], list[str]]:
        """Return each sample's highest TM-score to any entry of a database, and that entry.

        Args:
            samples: Cα chains, nm; one that isn't whole has NaN and no entry, and so has
                one that Foldseek aligned to nothing.
            database: Made by ``foldseek databases`` or ``foldseek createdb``.

        Returns:
            ``alntmscore``, and the entry's name.

        Raises:
            FewstepError: There is no such database, Foldseek fails, or it finds nothing at all.
        """
        if not Path(f"{database}.dbtype").is_file():
            raise FewstepError(
                f"no Foldseek database {database}",
                expected=f"a file {database}.dbtype",
                do=f"Make one: foldseek databases PDB {database} tmp",
            )
        return self._search(samples, database)

    def novelty(
        self,
        samples: Sequence[Float[np.ndarray, "_ 3"]],
        references: Sequence[Float[np.ndarray, "_ 3"]],
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Return each sample's highest TM-score to any reference, and its index; else -1.

        Args:
            samples: As in ``search``.
            references: Finite Cα chains, nm, such as training domains.

        Raises:
            FewstepError: Foldseek fails, or finds nothing at all.
        """
        with tempfile.TemporaryDirectory(prefix="fewstep_foldseek_") as name:
            target = Path(name) / "references"
            _write(references, target)
            best, names = self._search(samples, target)
        nearest = [_number(name, len(references)) if name else -1 for name in names]
        return best, np.array(nearest, dtype=int)

    def _search(
        self, samples: Sequence[Float[np.ndarray, "_ 3"]], target: Path
    ) -> tuple[Float[np.ndarray, " n"], list[str]]:
        """Search a database or a directory of PDB files."""
        best, names = np.full(len(samples), np.nan), [""] * len(samples)
        usable = [i for i, sample in enumerate(samples) if is_whole(sample)]
        for start in range(0, len(usable), _BATCH):
            part = usable[start : start + _BATCH]
            found = self._search_batch([samples[i] for i in part], target)
            for place, (score, name) in found.items():
                best[part[place]], names[part[place]] = score, name
        if usable and not any(names):
            raise FewstepError(
                f"foldseek aligned no sample to anything in {target.name}",
                do="Look whether it has structures: a database needs its _ca files",
            )
        return best, names

    def _search_batch(
        self, samples: Sequence[Float[np.ndarray, "_ 3"]], target: Path
    ) -> dict[int, tuple[float, str]]:
        """Return the highest score and its entry, by the index of the sample."""
        found: dict[int, tuple[float, str]] = {}
        with tempfile.TemporaryDirectory(prefix="fewstep_foldseek_") as name:
            folder = Path(name)
            _write(samples, folder / "samples")
            places = folder / "samples", target, folder / "found.tsv", folder / "work"
            self._call("easy-search", *places, *_SEARCH.split())
            for query, entry, text in _rows(folder / "found.tsv", 3):
                index, score = _number(query, len(samples)), _score(text)
                if index not in found or score > found[index][0]:
                    found[index] = score, entry
        return found

    def _call(self, module: str, *arguments: str | Path) -> None:
        """Run one of Foldseek's modules on as many threads as this process may use."""
        threads = str(torch.get_num_threads())
        command = [self.program, module, *map(str, arguments), "--threads", threads]
        done = _run(command)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-300:]
            raise FewstepError(
                f"foldseek {module} failed",
                got=f"exit code {done.returncode}: {said or 'no message'}",
                do=f"Is there space in {tempfile.gettempdir()}? TMPDIR names another place",
            )


def chosen(config: ProteinEvaluate) -> Foldseek | None:
    """Return the program if the settings ask for it.

    Raises:
        FewstepError: They do, and it can't be used: see ``find_foldseek``.
    """
    return find_foldseek(config.foldseek_program) if config.similarity == "foldseek" else None


def find_foldseek(program: str | None = None) -> Foldseek:
    """Return the program of that path, or the one on the PATH.

    Raises:
        FewstepError: It is missing, doesn't run, or isn't known to be of release 10-941cd33 or
            a later one.
    """
    wanted = f"release {_LEAST}-{_LEAST_COMMIT} or later"
    place = shutil.which(program or "foldseek")
    if place is None:
        where = f"at {program}" if program else "on the PATH"
        raise FewstepError(f"there is no program foldseek {where}", expected=wanted, do=_INSTALL)
    done = _run([place, "version"], seconds=_SECONDS)
    said = done.stdout.strip()
    if done.returncode or not said:
        got = f"exit code {done.returncode}: {done.stderr.strip()[-200:] or 'no message'}"
        raise FewstepError(f"{place} doesn't say its version", got=got, do=_INSTALL)
    release = re.match(r"(\d+)[.-]\w", said)
    known = said.startswith(_LEAST_COMMIT) or (release and int(release[1]) >= _LEAST)
    if not known:
        wrong = "is" if release else "names a commit, which can be"
        raise FewstepError(
            f"{place} {wrong} older than release {_LEAST}, before which alntmscore is divided by"
            " a wrong length",
            expected=wanted,
            got=said,
            do=_INSTALL,
        )
    return Foldseek(place, said)


def _run(command: list[str], seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FewstepError(f"{command[0]} doesn't run", got=error, do=_INSTALL) from error


def _write(chains: Sequence[Float[np.ndarray, "_ 3"]], folder: Path) -> None:
    """Write PDB files named by index: names of samples may be anything."""
    folder.mkdir()
    for index, points in enumerate(chains):
        chain = check_chain(points, least=_SHORTEST)
        text = format_pdb(chain - chain.mean(0))  # centred: the columns end at 1000 Å
        (folder / f"s{index:07d}.pdb").write_text(text, encoding="ascii")


def _rows(path: Path, columns: int) -> Iterator[list[str]]:
    """Yield the rows of a table without a header."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                row = line.rstrip("\n").split("\t")
                if len(row) != columns:
                    raise FewstepError(
                        f"line {number} of foldseek's {path.name}",
                        expected=f"{columns} columns",
                        got=line[:80],
                    )
                yield row
    except (OSError, UnicodeDecodeError) as error:
        raise FewstepError(f"can't read foldseek's {path.name}", got=error) from error


def _number(name: str, count: int) -> int:
    """Return the index that a name was made of."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[1]) >= count:
        raise FewstepError("foldseek named a chain that it wasn't given", got=name)
    return int(match[1])


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = float("nan")
    if not 0 <= score <= _MOST_SCORE:
        raise FewstepError("foldseek gave no TM-score", expected="a number from 0", got=text)
    return score
