"""Contract: reprof is called as a program, its table is read as it is, and failures speak.

A stand-in program writes reprof's format; where the real one is installed it runs too.
"""

from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.protein.metrics.designability import reprof
from domains.protein.metrics.geometry import decoys

HEADER = "No\tAA\tPHEL\tRI_S\tpH\tpE\tpL\tPACC\tPREL\tP10\tRI_A\tPbe\tPbie"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that installs a stand-in for reprof, given the body of its loop."""

    def install(body: str) -> None:
        script = tmp_path / "reprof"
        script.write_text(
            "#!/bin/sh\n"
            'sequence=$(grep -v ">" "$2"); out="$4"\n'
            f'printf "##General\\n# No : residue\\n{HEADER}\\n" > "$out"\n'
            f"{body}\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


# A buried residue is an L; everything is a helix.
ROWS = (
    'echo "$sequence" | fold -w1 | awk \'{print NR"\\t"$1"\\tH\\t9\\t90\\t5\\t5\\t10\\t"'
    '($1=="L"?5:80)"\\t2\\t5\\tb\\tb"}\' >> "$out"'
)


def test_the_table_is_read(program):
    program(ROWS)
    assert reprof.installed()
    states, accessible = reprof.predict("LKLE")
    assert states == "HHHH"
    assert accessible.tolist() == [5, 80, 5, 80]


def test_agreement_of_a_helix_with_its_own_burial(program):
    program(ROWS)
    chain = decoys.build(np.full(28, 91.0), np.full(27, 50.0))
    near = (np.linalg.norm(chain[:, None] - chain[None], axis=-1) <= reprof.CONTACT_RADIUS).sum(1)
    fitting = "".join("L" if count > np.median(near) - 1 else "K" for count in near)
    opposite = fitting.translate(str.maketrans("LK", "KL"))
    good, bad = reprof.agreement(chain, [fitting]), reprof.agreement(chain, [opposite])
    assert good["reprof_states"] > 0.7
    assert good["reprof_burial"] > 0.5 > 0 > bad["reprof_burial"]


@pytest.mark.parametrize("body", ["exit 3", "true", 'echo "1 A H" >> "$out"'])
def test_failures_are_one_line(program, body):
    program(body)
    with pytest.raises(FewstepError, match="reprof"):
        reprof.predict("LKLE")


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not reprof.installed()
    with pytest.raises(FewstepError, match="apt install reprof"):
        reprof.predict("LKLE")


@pytest.mark.skipif(not reprof.installed(), reason="Debian package reprof is not installed")
def test_the_real_program_knows_a_helix():
    states, accessible = reprof.predict("AEAAAKEAAAKEAAAKEAAAKA")
    assert states.count("H") > 15
    assert len(accessible) == 22 and accessible.max() > accessible.min()
