"""A file over HTTP: resumed where the line broke, and never longer than it may be."""

import logging
import time
from pathlib import Path
from typing import Any, BinaryIO

import requests

from domains.errors import FewstepError

__all__ = ["resume"]

_log = logging.getLogger(__name__)
_ATTEMPTS = 5  # in a row that bring nothing new
_TIMEOUT = 30  # seconds without a single byte
_BLOCK = 1 << 16  # at most what is lost when the line breaks
# What the same request may overcome in a while.
_PASSING = (408, 429, 500, 502, 503, 504)


def resume(size: int, url: str, output_file: str, _: Any) -> None:
    """Download a file of known size; resume where the connection broke.

    Args:
        size: Bytes that the file has; a server that sends more is cut off.
        url: The address.
        output_file: Where to.

    Raises:
        requests.RequestException: It isn't there, or the line broke too often.
        FewstepError: It is longer or shorter than it should be.
    """
    with Path(output_file).open("wb") as stream:
        failures = 0
        while stream.tell() < size:
            before = stream.tell()
            try:
                _go_on(size, url, stream)
            except requests.RequestException as error:
                failures = 1 if stream.tell() > before else failures + 1
                if failures == _ATTEMPTS or not _passes(error):
                    raise
                _log.warning("%s; going on at byte %d", error, stream.tell())
                time.sleep(2**failures)


def _go_on(size: int, url: str, stream: BinaryIO) -> None:
    """Ask for what is missing, once."""
    # Compressed on the way, a file would have another length.
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={stream.tell()}-"}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            stream.seek(0)
            stream.truncate()
        for block in response.iter_content(_BLOCK):
            stream.write(block)
            if stream.tell() > size:
                break
        kind = response.headers.get("Content-Type", "unknown type")
    if stream.tell() != size:
        most = "more than " if stream.tell() > size else ""
        raise FewstepError(
            f"{url} is another file",
            expected=f"{size} bytes",
            got=f"{most}{min(stream.tell(), size)} bytes of {kind}",
            do="Look at the address in a browser: it may be a login or proxy page",
        )


def _passes(error: requests.RequestException) -> bool:
    """Return whether another attempt makes sense: the line broke, or the server is busy."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code in _PASSING
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, broken)
