"""A table that is written row by row: after a cut it is read back, and goes on where it ended."""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

__all__ = ["Ledger"]


class Ledger:
    """Rows with these columns, each on disk's way as soon as it is added; no value has a newline.

    A file with other columns, or none, is begun anew; what follows the last whole row is cut off.

    Args:
        path: The file; its directory is made.
        columns: Names of the columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]):
        self.path, self.columns = Path(path), list(columns)

    def __enter__(self) -> "Ledger":
        """Open the file after its last whole row."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self.path.open("a", newline="", encoding="utf-8")
        whole = self._whole()
        os.truncate(self.path, whole)
        if not whole:
            self._write(self.columns)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._stream.close()

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the rows that are there."""
        with self.path.open(newline="", encoding="utf-8") as stream:
            yield from csv.DictReader(stream)

    def add(self, row: Mapping[str, object]) -> None:
        """Add a row; columns that it does not name stay empty."""
        self._write([row.get(name, "") for name in self.columns])

    def _write(self, values: Sequence[object]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        self._stream.write(text.getvalue())
        self._stream.flush()

    def _whole(self) -> int:
        """Return how many bytes the header and the whole rows after it take."""
        end = 0
        with self.path.open("rb") as stream:
            for line in stream:
                if not self._is_whole(line, first=not end):
                    break
                end += len(line)
        return end

    def _is_whole(self, line: bytes, first: bool) -> bool:
        try:
            values = next(csv.reader([line.decode()], strict=True), [])
        except (csv.Error, UnicodeDecodeError):
            return False
        right = values == self.columns if first else len(values) == len(self.columns)
        return right and line.endswith(b"\n") and b"\0" not in line
