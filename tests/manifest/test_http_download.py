"""Contract: a download is the whole right file or one line, whatever the server does.

A local server cuts, stalls, lies; what was received before a broken line is not asked for again.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from manifest_files import CONTENT, entry, is_clean

from domains.errors import FewstepError
from domains.manifest import http_download
from domains.manifest.table import fetch

HALF = len(CONTENT) // 2
MOST = 3000  # times CONTENT: more than what buffers hold
PAGE = b"<!doctype html><title>Please log in</title>"


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's ``behave`` says; notes where each answer began."""

    server: "Server"

    def do_GET(self) -> None:
        self.begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.server.starts.append(self.begin)
        self.server.behave(self, len(self.server.starts))

    def send(
        self,
        content: bytes,
        length: int | None = None,
        status: int | None = None,
        ranges: bool = True,
        **headers: str,
    ) -> None:
        """Send what is asked for, or all of it where ranges aren't known."""
        begin = self.begin if ranges else 0
        self.send_response(status or (206 if ranges else 200))
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content[begin:])

    def log_message(self, *_: Any) -> None: ...


class Server(ThreadingHTTPServer):
    behave: Callable[[Handler, int], None]
    starts: list[int]
    ended: threading.Event


@dataclass
class Site:
    """A server on this machine."""

    server: Server
    starts: list[int] = field(default_factory=list)

    def fetch(self, directory: Path, behave: Callable[[Handler, int], None]) -> Path:
        self.server.behave, self.server.starts = behave, self.starts
        url = f"http://127.0.0.1:{self.server.server_port}/w"
        return fetch(entry(kind="url", url=url, file="w"), directory / "cache")

    def refused(self, directory: Path, behave: Callable[[Handler, int], None]) -> str:
        with pytest.raises(FewstepError) as error:
            self.fetch(directory, behave)
        assert "\n" not in str(error.value) and is_clean(directory / "cache")
        return str(error.value)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(http_download.time, "sleep", lambda _: None)
    monkeypatch.setattr(http_download, "_BLOCK", 500)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.ended = threading.Event()
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield Site(running)
        running.ended.set()
        running.shutdown()


def whole(handler: Handler, _: int) -> None:
    handler.send(CONTENT, len(CONTENT) - handler.begin)


def test_a_whole_file_takes_one_request(tmp_path: Path, site: Site) -> None:
    assert site.fetch(tmp_path, whole).read_bytes() == CONTENT
    assert site.starts == [0]


def test_a_broken_line_is_resumed_where_it_broke(tmp_path: Path, site: Site) -> None:
    def cut(handler: Handler, _: int) -> None:
        handler.send(CONTENT[: handler.begin + 2000], len(CONTENT) - handler.begin)

    assert site.fetch(tmp_path, cut).read_bytes() == CONTENT
    assert len(site.starts) > http_download._ATTEMPTS  # each one brought something
    assert all(b - a >= 1500 for a, b in zip(site.starts, site.starts[1:], strict=False))


def test_a_server_that_stalls_is_asked_again(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_download, "_TIMEOUT", 0.3)

    def stall(handler: Handler, number: int) -> None:
        if number == 1:
            handler.send(CONTENT[:HALF], len(CONTENT))
            handler.wfile.flush()
            handler.server.ended.wait(30)
        elif number == 2:
            handler.server.ended.wait(30)
        else:
            whole(handler, number)

    assert site.fetch(tmp_path, stall).read_bytes() == CONTENT
    assert site.starts[0] == 0 < site.starts[1] == site.starts[2]


def test_without_ranges_it_begins_anew(tmp_path: Path, site: Site) -> None:
    def behave(handler: Handler, number: int) -> None:
        sent = CONTENT[:HALF] if number == 1 else CONTENT
        handler.send(sent, len(CONTENT), ranges=False)

    assert site.fetch(tmp_path, behave).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(tmp_path: Path, site: Site) -> None:
    def busy(handler: Handler, number: int) -> None:
        handler.send_error(503) if number < 3 else whole(handler, number)

    assert site.fetch(tmp_path / "busy", busy).read_bytes() == CONTENT
    site.starts.clear()
    assert "404" in site.refused(tmp_path, lambda handler, _: handler.send_error(404))
    assert len(site.starts) == 1
    site.starts.clear()
    assert "500" in site.refused(tmp_path, lambda handler, _: handler.send_error(500))
    assert len(site.starts) == http_download._ATTEMPTS


def test_a_line_that_always_breaks_ends(tmp_path: Path, site: Site) -> None:
    def cut(handler: Handler, _: int) -> None:
        handler.send(CONTENT[:HALF], len(CONTENT), ranges=False)

    assert "/w" in site.refused(tmp_path, cut)
    assert len(site.starts) < 3 * http_download._ATTEMPTS


def test_a_server_without_end_is_cut_off(tmp_path: Path, site: Site) -> None:
    sent = []

    def endless(handler: Handler, _: int) -> None:
        handler.send(CONTENT)
        with suppress(OSError):  # the client has gone
            for number in range(MOST):
                handler.wfile.write(CONTENT)
                sent.append(number)

    assert f"got more than {len(CONTENT)} bytes" in site.refused(tmp_path, endless)
    assert len(sent) < MOST


WRONG: dict[str, tuple[Callable[[Handler, int], None], str]] = {
    "other content": (lambda h, _: h.send(CONTENT[::-1], len(CONTENT)), "hash"),
    "content that changes": (
        lambda h, n: h.send(CONTENT[:HALF] if n == 1 else CONTENT[::-1], len(CONTENT) - h.begin),
        "hash",
    ),
    "a length that is too small": (lambda h, _: h.send(CONTENT, 100), "got 100 bytes"),
    "a proxy's page": (
        lambda h, _: h.send(PAGE, len(PAGE), 200, False, Content_Type="text/html"),
        f"got {len(PAGE)} bytes of text/html",
    ),
    "nothing": (lambda h, _: h.send(b"", 0), "got 0 bytes"),
    "a circle": (lambda h, _: h.send(b"", 0, 302, Location="/w"), "redirects"),
    "no HTTP": (lambda h, _: h.wfile.write(PAGE), "/w"),
}


@pytest.mark.parametrize(("behave", "words"), WRONG.values(), ids=WRONG)
def test_what_is_not_the_file_is_refused(
    tmp_path: Path, site: Site, behave: Callable[[Handler, int], None], words: str
) -> None:
    assert words in site.refused(tmp_path, behave)


def test_a_length_that_is_too_large_does_no_harm(tmp_path: Path, site: Site) -> None:
    found = site.fetch(tmp_path, lambda handler, _: handler.send(CONTENT, len(CONTENT) + 100))
    assert found.read_bytes() == CONTENT
