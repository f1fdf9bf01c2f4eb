"""Contract: each tool gives the entry's file or one line of error, and runs nothing foreign.

Nothing here uses the network: pip with a local index, a Debian package built on the spot and
stand-in tools.
"""

import io
import shutil
import tarfile
from pathlib import Path

import pytest
from manifest_files import CONTENT, entry, is_clean, local_index, sha, stand_in, wheel

from domains.errors import FewstepError
from domains.manifest.download import run_tool
from domains.manifest.entries import Entry
from domains.manifest.table import fetch, unpack


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return local_index(tmp_path, monkeypatch)


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
    run_tool(["dpkg-deb", "--build", str(tree), str(package)], tmp_path, "")
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
    assert (cache / "thing/x.dat.wrong").read_bytes() == b"broken"
    (cache / "thing/x.dat.wrong").unlink()
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
