"""Processes that align many pairs, on as many threads as the job has."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import Any, cast

from tqdm import tqdm

__all__ = ["Workers", "counted"]

_FEW = 64  # jobs that are done before a process has started


class Workers:
    """Processes, started by spawn when there is enough to do; they end with the ``with`` block.

    Args:
        count: How many; with one everything is done in this process.
    """

    def __init__(self, count: int = 1):
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def each(self, function: Callable[[Any], Any], jobs: Sequence[Any], said: str) -> list[Any]:
        """Return the function of every job, in their order, with a progress bar.

        Args:
            function: Of a module, so that other processes can import it.
            jobs: Its arguments.
            said: What they are, for the bar.
        """
        if self._count <= 1 or len(jobs) < _FEW:
            return [function(job) for job in counted(jobs, said)]
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._count, mp_context=get_context("spawn"))
        size = max(1, min(64, len(jobs) // (4 * self._count)))
        return list(counted(self._pool.map(function, jobs, chunksize=size), said, len(jobs)))


def counted(jobs: Iterable[Any], said: str, total: int | None = None) -> Iterator[Any]:
    """Pass through what is given, with a progress bar where it is much.

    Args:
        jobs: What to pass through.
        said: What it is, for the bar.
        total: How much it is, where ``jobs`` has no length.
    """
    count = total if total is not None else len(cast(Sized, jobs))
    return iter(tqdm(jobs, desc=said, total=count, mininterval=5.0, disable=count < _FEW))
