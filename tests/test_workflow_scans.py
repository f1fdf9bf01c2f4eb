"""Contract: a directory of loose scans is one set, listed once and completed whole."""

import os
import subprocess
import sys
from pathlib import Path

from snakemake_run import planned, settings_file, snakemake

ROOT = Path(__file__).parents[1]


def test_every_loose_scan_is_completed(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for number in range(23):
        (tmp_path / f"scans/{number:02d}.BIN").touch()
    jobs = planned(tmp_path, settings_file("lidar_scans"))
    assert jobs["generate"] == 3 and jobs["merge"] == 1


LISTINGS = """
import atexit, os, sys
count = 0
def watch(event, details):
    global count
    if event in ("os.listdir", "os.scandir") and str(details[0]).endswith("scans"):
        count += 1
sys.addaudithook(watch)
atexit.register(lambda: open("listings", "w").write(str(count)))
from snakemake.cli import main
main(sys.argv[1:])
"""


def test_loose_scans_are_listed_as_often_for_many_shards_as_for_few(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for number in range(60):
        (tmp_path / f"scans/{number:02d}.bin").touch()
    found = []
    for size in (60, 1):
        config = tmp_path / "c.yaml"
        text = settings_file("lidar_scans").read_text(encoding="utf-8")
        config.write_text(text.replace("shard_size: 10", f"shard_size: {size}"))
        command = [
            sys.executable,
            "-c",
            LISTINGS,
            "--snakefile",
            ROOT / "Snakefile",
            "--cores",
            "1",
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "c")}
        subprocess.run(
            [*command, "--configfile", config, "--dry-run"],
            check=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
        )
        found.append(int((tmp_path / "listings").read_text()))
    assert found[0] == found[1] > 0


def test_a_directory_of_scans_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    text = settings_file("lidar_scans").read_text(encoding="utf-8")
    (tmp_path / "c.yaml").write_text(text.replace("shard_size", "scenes: 3, shard_size"))
    result = snakemake(tmp_path, tmp_path / "c.yaml", "--dry-run")
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "there is no directory scans" in said
    assert "Traceback" not in said
