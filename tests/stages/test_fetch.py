"""Contract: an output directory of `fetch` is whole and verified, or it isn't there.

A directory with anything else in it is never replaced; nothing here uses the network.
"""

import shutil
from pathlib import Path

import pytest
import yaml
from manifest_files import CONTENT, local_index, wheel

from domains.errors import FewstepError
from domains.manifest.table import load_manifest
from domains.stages import fetch as module
from domains.stages.fetch import fetch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest with one wheel, which only a local index has."""
    item = wheel(local_index(tmp_path, monkeypatch))
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({"entries": [item.model_dump(mode="json")]}))
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_members_are_in_the_output(tmp_path: Path, manifest: Path) -> None:
    output = tmp_path / "data/tools/thing"
    fetch("thing", output, manifest)
    assert names(output) == ["w.pt"]
    assert (output / "w.pt").read_bytes() == CONTENT
    assert names(output.parent) == ["downloads", "thing"]


def test_output_is_made_again_from_the_cache(tmp_path: Path, manifest: Path) -> None:
    output, cache = tmp_path / "out", tmp_path / "cache"
    fetch("thing", output, manifest, cache)
    (output / "w.pt").write_bytes(b"changed")
    shutil.rmtree(tmp_path / "index")
    fetch("thing", output, manifest, cache)
    assert (output / "w.pt").read_bytes() == CONTENT
    assert names(tmp_path) == ["cache", "manifest.yaml", "out"]


def test_interrupted_copy_leaves_no_output(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, cache = tmp_path / "out", tmp_path / "cache"

    def interrupted(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:10])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_copy", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("thing", output, manifest, cache)
    assert names(tmp_path) == ["cache", "index", "manifest.yaml"]
    fetch("thing", output, manifest, cache)
    assert names(output) == ["w.pt"]


def test_full_disk_is_one_line(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_copy", full)
    with pytest.raises(FewstepError, match="No space left"):
        fetch("thing", tmp_path / "out", manifest, tmp_path / "cache")
    assert not (tmp_path / "out").exists()


def test_other_peoples_files_are_never_replaced(tmp_path: Path, manifest: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "thesis.tex").write_text("ten years")
    with pytest.raises(FewstepError, match=r"thesis\.tex"):
        fetch("thing", output, manifest)
    assert (output / "thesis.tex").read_text() == "ten years"
    with pytest.raises(FewstepError, match="in the way"):
        fetch("thing", output / "thesis.tex", manifest, tmp_path / "cache")


def test_wrong_content_leaves_no_output(tmp_path: Path, manifest: Path) -> None:
    entries = yaml.safe_load(manifest.read_text())
    entries["entries"][0]["members"][0]["sha256"] = "0" * 64
    manifest.write_text(yaml.safe_dump(entries))
    with pytest.raises(FewstepError, match="sha256"):
        fetch("thing", tmp_path / "out", manifest)
    assert not (tmp_path / "out").exists()


def test_repository_manifest_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    packed = load_manifest(ROOT / "data_manifest.yaml").find("cath-domains")
    fetch("cath-domains", Path("out"))
    [file] = (tmp_path / "out").iterdir()
    assert file.stat().st_size == packed.size
    with pytest.raises(FewstepError, match="proteinmpnn"):
        fetch("nothing", Path("other"))


def test_missing_manifest_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site/domains/stages/fetch.py"))
    with pytest.raises(FewstepError, match="--manifest"):
        fetch("thing", Path("out"))
    (tmp_path / "data_manifest.yaml").write_text("entries: []")
    with pytest.raises(FewstepError, match="no such entry"):
        fetch("thing", Path("out"))
