"""OpenFold3 as a folding backend: called as a program, and only where it is installed.

OpenFold3 (AlQuraishi laboratory, Apache-2.0) is an open reproduction of AlphaFold 3. Each
sequence is folded alone, without alignments and templates: designed sequences have no relatives.
What is called, and what is read, is as its documentation says of release 0.4 (``run_openfold
predict``, input format and outputs). It was not run here: the tests use a stand-in.
"""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from domains.errors import FewstepError
from domains.files.provenance import sha256
from domains.protein.files.structure import read_ca
from domains.protein.metrics.designability.self_consistency import Fold

__all__ = ["OpenFold3", "find_openfold3"]

_PROGRAM = "run_openfold"
_OPTIONS = ("--use-msa-server=False", "--use-templates=False", "--num-diffusion-samples=1")
_VERSION = "from importlib.metadata import version; print(version('openfold3'))"


@dataclass(frozen=True)
class OpenFold3:
    """OpenFold3 with one checkpoint; see ``find_openfold3``.

    Args:
        name: Program and weights with version and checksum.
        program: Its path.
        checkpoint: Its weights.
    """

    name: str
    program: str
    checkpoint: Path

    def fold(self, sequences: Sequence[str]) -> list[Fold]:
        """Return one fold per sequence; one start of the program for all of them.

        Raises:
            FewstepError: The program fails, or leaves out a sequence.
        """
        with tempfile.TemporaryDirectory(prefix="fewstep_openfold3_") as place:
            folder = Path(place)
            queries = {f"s{k:07d}": _query(one) for k, one in enumerate(sequences)}
            (folder / "query.json").write_text(json.dumps({"queries": queries}))
            said = self._run(folder)
            return [_read(folder / "out" / name, name, said) for name in queries]

    def _run(self, folder: Path) -> str:
        """Run the program; return the end of what it said."""
        places = (
            f"--query-json={folder / 'query.json'}",
            f"--inference-ckpt-path={self.checkpoint.resolve()}",
            f"--output-dir={folder / 'out'}",
        )
        command = [self.program, "predict", *places, *_OPTIONS]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        said = (done.stderr.strip() or done.stdout.strip())[-300:]
        if done.returncode:
            raise FewstepError(
                f"{_PROGRAM} failed", got=f"exit code {done.returncode}: {said or 'no message'}"
            )
        return said


def find_openfold3(checkpoint: Path) -> OpenFold3:
    """Return the program on the PATH with a checkpoint.

    Raises:
        FewstepError: There is no such program or file.
    """
    program = which(_PROGRAM)
    if program is None:
        raise FewstepError(
            f"there is no program {_PROGRAM} on the PATH",
            do="pip install openfold3 into an environment of its own, and put it on the PATH",
        )
    if not checkpoint.is_file():
        raise FewstepError(
            f"there is no checkpoint {checkpoint}",
            expected="weights of OpenFold3 (.pt)",
            do="Download one, see openfold-3's documentation, and name it as folding_model",
        )
    weights = f"{checkpoint.name} {sha256(checkpoint)[:12]}"
    return OpenFold3(f"openfold3 {_version(program)} {weights}", program, checkpoint)


def _version(program: str) -> str:
    """Return the version of the package in the environment that the program is of."""
    first = Path(program).read_bytes().split(b"\n", 1)[0].decode(errors="replace")
    if not first.startswith("#!/"):
        return "of unknown version"
    command = [*first[2:].split(), "-c", _VERSION]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return done.stdout.strip() if done.returncode == 0 else "of unknown version"


def _query(sequence: str) -> dict:
    """Return one chain to be folded from its sequence alone."""
    chain = {
        "molecule_type": "protein",
        "chain_ids": "A",
        "sequence": sequence,
        "use_main_msas": False,
    }
    return {"chains": [chain]}


def _read(folder: Path, name: str, said: str) -> Fold:
    """Return the structure and the mean pLDDT (0-100) that the program wrote of a query."""
    stem = f"{name}_seed_*_sample_*"
    models = list(folder.glob(f"seed_*/{stem}_model.cif"))
    scores = list(folder.glob(f"seed_*/{stem}_confidences_aggregated.json"))
    if len(models) != 1 or len(scores) != 1:
        raise FewstepError(
            f"{_PROGRAM} gave no single structure",
            expected=f"one {stem}_model.cif and its confidences",
            got=f"{len(models)} and {len(scores)}; {said or 'no message'}",
        )
    try:
        confidence = float(json.loads(scores[0].read_text())["avg_plddt"])
    except (ValueError, KeyError, TypeError) as error:
        raise FewstepError(f"{scores[0].name} has no avg_plddt", got=error) from error
    return Fold(read_ca(models[0]), confidence)
