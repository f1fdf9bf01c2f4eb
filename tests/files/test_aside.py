"""Contract: what is moved aside never replaces anything."""

from pathlib import Path

from domains.files.aside import put_aside


def test_each_time_a_new_name(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "a").mkdir()
        (tmp_path / "a/b").write_text(str(number))
        assert put_aside(tmp_path / "a", "damaged").parent == tmp_path
    found = {path.name: (path / "b").read_text() for path in tmp_path.iterdir()}
    assert found == {"a.damaged": "0", "a.damaged-2": "1", "a.damaged-3": "2"}


def test_a_dangling_link_is_in_the_way_too(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    (tmp_path / "a.damaged").symlink_to("nowhere")
    assert put_aside(tmp_path / "a", "damaged").name == "a.damaged-2"
    assert (tmp_path / "a.damaged").is_symlink()
