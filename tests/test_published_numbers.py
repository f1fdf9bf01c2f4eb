"""Contract: a number in a table of the documentation is the one in the CSV beside it."""

from pathlib import Path

import pytest
from published_tables import Table, faults, tables

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"
# Pages all of whose tables say where their numbers are from. Add yours.
PAGES = [
    ROOT / "README.md",
    RESULTS / "lidar_mini/README.md",
    RESULTS / "matrix/README.md",
    RESULTS / "protein/README.md",
    RESULTS / "protein_fold/README.md",
    RESULTS / "protein_forget/README.md",
    RESULTS / "protein_mini/README.md",
    RESULTS / "protein_motif/README.md",
]
ALL = [table for page in PAGES for table in tables(page)]


@pytest.mark.parametrize("table", ALL, ids=lambda one: f"{one.page.parent.name}:{one.line}")
def test_every_number_is_that_of_its_csv(table: Table) -> None:
    assert table.said is not None, f"{table.page}:{table.line} doesn't say where its numbers are"
    assert not faults(table), "\n".join(faults(table))


def test_most_tables_are_looked_up() -> None:
    looked_up = [table for table in ALL if isinstance(table.said, dict)]
    assert sum(len(table.cells) for table in looked_up) > 100


PAGE = """Text.

<!-- numbers:
table: numbers.csv
columns: [seconds, null, helix]
rows: [a, b]
-->
| | s | note | helix |
|---|---|---|---|
| first | 1.50 | 9 | .31 [.28, −.34] |
| second | – | 9 | {} |
"""


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (".5", None),
        (".53 [.49, .6]", None),
        (".54", "helix: .54 for 0.53"),
        (".53 [.49, .58]", "helix: .58 for 0.6"),
        ("–", "helix: '–' for 0.53"),
        (".53 [.49]", "no value, nor one with its interval"),
    ],
)
def test_another_number_is_found(tmp_path: Path, cell: str, fault: str | None) -> None:
    (tmp_path / "numbers.csv").write_text(
        "run,metric,value,low,high\n"
        "a,seconds,1.4951,1,2\na,helix,.3149,.275,-.3449\nb,helix,.53,.49,.6\n"
    )
    (tmp_path / "page.md").write_text(PAGE.format(cell), encoding="utf-8")
    (table,) = tables(tmp_path / "page.md")
    found = faults(table)
    assert (fault in found[0] and "page.md:11" in found[0]) if fault else not found


def test_a_table_of_another_size_is_found(tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("run,metric,value,low,high\n")
    (tmp_path / "page.md").write_text(PAGE.replace("rows: [a, b]", "rows: [a]"), encoding="utf-8")
    (table,) = tables(tmp_path / "page.md")
    assert "2 rows, 1 are named" in faults(table)[0]


SEEDS = """<!-- numbers:
table: numbers.csv
key: [run, seed]
columns: [null, helix, {metric: seconds, of: median, times: 0.5}]
rows: [a/*]
-->
| | | helix | s |
|---|---|---|---|
| all | 9 | .40 [.10, .70] | 1.0 |

<!-- numbers:
table: numbers.csv
key: [run, seed]
columns: [helix, helix]
rows: [[a/0, a/1]]
-->
| | | |
|---|---|---|
| each | .30 / .50 | .3 [.1, .4] → .5 [.2, .7] |
"""


@pytest.mark.parametrize(
    ("number", "other", "fault"),
    [
        ("9", "8", None),
        (".40 [", ".30 [", "helix: .30 for 0.4"),
        (".70]", ".40]", "helix: .40 for 0.7"),
        ("1.0 |", "2.0 |", "seconds: 2.0 for 1"),
        ("/ .50", "/ .30", "helix: .30 for 0.5"),
        (".30 / .50", ".30", "helix: 1 parts, 2 are named"),
        (".2, .7", ".1, .7", "helix: .1 for 0.2"),
    ],
)
def test_rows_are_taken_together_or_in_turn(
    tmp_path: Path, number: str, other: str, fault: str | None
) -> None:
    (tmp_path / "numbers.csv").write_text(
        "run,seed,metric,value,low,high\na,0,helix,.3,.1,.4\na,1,helix,.5,.2,.7\n"
        "a,0,seconds,1,,\na,1,seconds,3,,\n"
    )
    page = tmp_path / "page.md"
    page.write_text(SEEDS, encoding="utf-8")
    assert not [fault for table in tables(page) for fault in faults(table)]
    page.write_text(SEEDS.replace(number, other, 1), encoding="utf-8")
    found = [fault for table in tables(page) for fault in faults(table)]
    assert (len(found) == 1 and fault in found[0]) if fault else not found
