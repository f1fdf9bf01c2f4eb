"""Contract: one line makes backbones of a student, as it was trained, and a picture of all."""

from pathlib import Path

import pytest

from domains.errors import FewstepError
from domains.field import load_field
from domains.stages.at_hand import trained_sampler
from domains.stages.sample import sample


def test_chains_are_written_and_drawn_and_the_seed_decides_them(tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        sample(tmp_path / name, length=24, number=3, seed=seed)
    files = {path.name for path in (tmp_path / "one").iterdir()}
    chains = sorted(files - {"backbones.png"})
    assert len(chains) == 3 and all(name.endswith(".pdb") for name in chains)
    assert "backbones.png" in files
    read = load_field("protein").read
    for name in chains:
        one, again, other = (
            read(tmp_path / run / name).points for run in ("one", "again", "other")
        )
        assert len(one) == 24 and one.equal(again) and not one.equal(other)


def test_nothing_is_replaced_and_that_is_said_before_sampling(tmp_path: Path) -> None:
    (tmp_path / "sample_0000000.pdb").write_text("mine")
    with pytest.raises(FewstepError, match=r"there are files in .* already"):
        sample(tmp_path, length=10**4, number=10**4)
    assert (tmp_path / "sample_0000000.pdb").read_text() == "mine"
    with pytest.raises(FewstepError, match="can't write to"):
        sample(tmp_path / "sample_0000000.pdb", length=24)


def test_a_length_that_was_never_trained_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sample(tmp_path / "one", length=50, number=1)
    assert "trained on" not in caplog.text
    sample(tmp_path / "two", length=8, number=1)
    assert "trained on chains of 50 to 128 residues; how good those of 8 are" in caplog.text


def test_a_student_says_how_it_is_sampled() -> None:
    sampler = trained_sampler("proteina-small-8")
    assert (sampler.steps, sampler.eta, sampler.noise_scale) == (8, 0, 1)
    assert sampler.self_conditioning


def test_a_teacher_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FewstepError, match="proteina-small is no student"):
        sample(tmp_path / "made", model="proteina-small")
    assert not (tmp_path / "made").exists()
