"""Contract: OpenFold3 is called as documented, once for all sequences, and believed only whole."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from domains.errors import FewstepError
from domains.protein.metrics.designability.folding import load_folding
from domains.protein.metrics.designability.openfold3 import OpenFold3, find_openfold3
from domains.protein.metrics.designability.self_consistency import FoldingBackend
from domains.protein.settings import ProteinEvaluate

STAND_IN = Path(__file__).with_name("openfold3_stand_in.py")


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenFold3:
    program, weights = tmp_path / "run_openfold", tmp_path / "weights.pt"
    program.write_text(f"#!{sys.executable}\n" + STAND_IN.read_text())
    program.chmod(0o755)
    weights.write_bytes(b"weights")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return find_openfold3(weights)


def test_all_sequences_are_folded_by_one_call(backend: OpenFold3, tmp_path: Path) -> None:
    assert isinstance(backend, FoldingBackend)
    folds = backend.fold(["ACDEF", "GHI", "ACDEF"])
    assert [fold.points.shape for fold in folds] == [(5, 3), (3, 3), (5, 3)]
    assert np.allclose(folds[1].points[:, 0], [0, 0.38, 0.76], atol=1e-4)
    assert [fold.plddt for fold in folds] == [71.5] * 3
    command, arguments, queries = json.loads((tmp_path / "calls.json").read_text())
    assert command == "predict" and len(queries) == 3
    assert arguments["use-msa-server"] == arguments["use-templates"] == "False"
    assert arguments["num-diffusion-samples"] == "1"
    [chain] = queries["s0000001"]["chains"]
    assert (chain["molecule_type"], chain["sequence"]) == ("protein", "GHI")
    assert chain["use_main_msas"] is False


def test_the_name_says_program_and_weights(backend: OpenFold3, tmp_path: Path) -> None:
    # The stand-in's Python has no package openfold3.
    assert backend.name.startswith("openfold3 of unknown version weights.pt ")
    other = tmp_path / "weights_2.pt"
    other.write_bytes(b"others")
    assert find_openfold3(other).name.split()[-1] != backend.name.split()[-1]


@pytest.mark.parametrize(
    ("sequence", "said"), [("AWA", "exit code 1: out of memory"), ("AYA", "no single structure")]
)
def test_what_is_not_folded_is_an_error(backend: OpenFold3, sequence: str, said: str) -> None:
    with pytest.raises(FewstepError, match=said):
        backend.fold(["AAA", sequence])


def test_without_program_or_weights_it_says_so(
    backend: OpenFold3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FewstepError, match="no checkpoint"):
        find_openfold3(tmp_path / "nothing.pt")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FewstepError, match="no program run_openfold"):
        find_openfold3(backend.checkpoint)


def test_settings_choose_the_program_and_keep_its_folds(
    backend: OpenFold3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = load_folding(
        ProteinEvaluate(folding_program="openfold3", folding_model=str(backend.checkpoint))
    )
    folder.fold(["AC", "DE"])
    folder.fold(["DE"])
    _, _, queries = json.loads((tmp_path / "calls.json").read_text())
    assert len(queries) == 2 and len(list((tmp_path / "data/folds").glob("*.npz"))) == 2
    assert folder.name == backend.name
