"""Coverage-guided fuzzing of the readers, by atheris: see README.md beside the tables.

``python tests/hostile/fuzz/fuzz.py TARGET [libFuzzer options]``; TARGET is a key of READERS.
"""

import resource
import sys
import tempfile
from pathlib import Path

import atheris

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS)]
INSTRUMENTED = ["domains", "biotite.structure.io", "yaml", "pickletools", "zipfile"]
MOST_BYTES = 8 << 30  # of address space, so that an absurd allocation fails at once

with atheris.instrument_imports(include=INSTRUMENTED):
    from hostile.readers import attempt, nothing_runs
    from hostile.seeds import SEEDS


def main() -> None:
    """Feed what libFuzzer makes of good files to one reader, until it stops or a reader fails."""
    target = sys.argv.pop(1)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        place, seeds = Path(directory), Path(directory) / "seeds"
        seeds.mkdir()
        for number, data in enumerate([*SEEDS[target], *findings(target)]):
            (seeds / str(number)).write_bytes(data)
            attempt(target, data, place)  # what is imported late is imported now
        atheris.Setup([*sys.argv, str(seeds)], lambda data: one(target, data, place))
        atheris.Fuzz()


def findings(target: str) -> list[bytes]:
    """What was found before."""
    return [path.read_bytes() for path in (TESTS / "hostile/corpus").glob(f"{target}-*")]


def one(target: str, data: bytes, place: Path) -> None:
    """Read some bytes; anything but a value or a FewstepError ends the fuzzing."""
    with nothing_runs():
        attempt(target, data, place)


main()
