"""Contract: rows are means over intervals, and a resumed log equals an uninterrupted one."""

import math
from pathlib import Path

import pytest
import torch

from domains.distillation.training.log_table import LogTable
from domains.errors import FewstepError


def fill(table: LogTable, steps: range, every: int = 4) -> None:
    for step in steps:
        table.add(loss=torch.tensor(1 / 3 + step), large=1e6 / 7 * step, size=float(step))
        if step % 3 == 0:
            table.add(rare=float(step))
        if step % every == 0:
            table.close_row(step)


def test_rows_are_means_of_what_was_seen(tmp_path: Path):
    table = LogTable(tmp_path / "log.csv")
    fill(table, range(1, 9))
    assert [row["size"] for row in table.rows] == [2.5, 6.5]
    assert [row["rare"] for row in table.rows] == [3, 6]
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "step,large,loss,rare,size"


@pytest.mark.parametrize("stop", range(1, 16))
def test_a_log_resumed_anywhere_is_byte_identical(tmp_path: Path, stop: int):
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    fill(LogTable(whole), range(1, 17))
    first = LogTable(parts)
    fill(first, range(1, stop + 1))
    interval = first.state()
    fill(first, range(stop + 1, 15))  # work that is lost, and will be made again
    second = LogTable(parts, stop)
    assert all(row["step"] <= stop for row in second.rows)
    second.restore(interval)
    fill(second, range(stop + 1, 17))
    assert parts.read_bytes() == whole.read_bytes()


def test_numbers_are_the_same_text_when_read_back(tmp_path: Path):
    path = tmp_path / "log.csv"
    table = LogTable(path)
    values = [1234567.8, 0.1 + 0.2, 1e-12, -7.0, 3e20, 999999.96, math.inf, math.nan, 0.9999999]
    table.add(**{f"v{k}": value for k, value in enumerate(values)})
    table.close_row(2_345_678)
    before = path.read_bytes()
    assert b"2345678," in before and b"nan" in before and b"inf" in before
    again = LogTable(path, 2_345_678)
    again._write()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["step,loss\n4,0.5\n8,0.#\n", "loss\n0.5\n", "step,loss\n4,1,2\n", "step\n\0\n"]
)
def test_a_damaged_log_is_one_line_and_is_left_alone(tmp_path: Path, text: str):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(FewstepError, match=r"log\.csv.*Move it away"):
        LogTable(path, 8)
    assert path.read_text() == text


def test_an_interval_starts_empty(tmp_path: Path):
    table = LogTable(tmp_path / "log.csv")
    table.add(loss=1.0)
    table.close_row(1)
    assert table.pending() == {} and table.state() == {}
