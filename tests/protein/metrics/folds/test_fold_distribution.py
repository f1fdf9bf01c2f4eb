"""Contract: FPSD, fS and fJSD are the published ones, on their arrays and by their definitions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from domains.errors import FewstepError
from domains.protein.metrics.folds import fold_distribution as folds
from domains.protein.metrics.folds.gearnet import LEVELS, Classified


@pytest.fixture(scope="module")
def case(golden: Path) -> tuple[dict, dict[str, np.ndarray]]:
    directory = golden / "gearnet"
    if not directory.is_dir():
        pytest.skip(f"no golden values of GearNet in {golden}")
    expected = json.loads((directory / "metrics_meta.json").read_text())["synthetic"]
    with np.load(directory / "metrics_arrays.npz") as arrays:
        return expected, dict(arrays)


def made(count: int, seed: int, width: int = 6, classes: int = 4) -> Classified:
    source = torch.Generator().manual_seed(seed)
    logits = {level: 3 * torch.randn(count, classes, generator=source) for level in LEVELS}
    return Classified(torch.randn(count, width, generator=source) + seed, logits)


def of_features(features: np.ndarray) -> folds.FoldStatistics:
    logits = {level: torch.zeros(len(features), 2) for level in LEVELS}
    return folds.FoldStatistics.of(Classified(torch.from_numpy(features), logits))


def of_logits(logits: np.ndarray, level: str) -> folds.FoldStatistics:
    some = {name: torch.zeros(len(logits), 2) for name in LEVELS}
    some[level] = torch.from_numpy(logits)
    return folds.FoldStatistics.of(Classified(torch.zeros(len(logits), 2), some))


def test_golden_fpsd(case) -> None:
    expected, arrays = case
    real, fake = arrays["fid.real"], arrays["fid.fake"]
    dead = fake.copy()
    dead[:, -1] = 0
    sets = {"fake": fake, "few": fake[: fake.shape[1] // 2], "deadfeature": dead}
    for name, features in sets.items():
        value = folds.fpsd(of_features(features), of_features(real))
        assert value == pytest.approx(expected[f"fpsd.{name}.float64"], rel=1e-6)
    assert folds.fpsd(of_features(real), of_features(real)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("level", LEVELS)
def test_golden_fold_score_and_jsd(case, level: str) -> None:
    expected, arrays = case
    if f"logits_{level}.real" not in arrays:
        pytest.skip("this level is in the full set of golden values")
    real = of_logits(arrays[f"logits_{level}.real"], level)
    fake = of_logits(arrays[f"logits_{level}.fake"], level)
    assert folds.fold_jsd(fake, real, level) == pytest.approx(expected[f"fjsd.{level}"], abs=1e-6)
    assert folds.fold_jsd(real, real, level) == pytest.approx(0, abs=1e-6)
    assert folds.fold_score(fake, level) == pytest.approx(expected[f"fs.{level}"], rel=1e-5)


def test_fold_score_counts_folds() -> None:
    sharp = 200.0 * torch.eye(5)
    found = folds.FoldStatistics.of(Classified(torch.zeros(5, 2), dict.fromkeys(LEVELS, sharp)))
    assert folds.fold_score(found, "T") == pytest.approx(5)
    blurred = folds.FoldStatistics.of(
        Classified(torch.zeros(5, 2), dict.fromkeys(LEVELS, torch.zeros(5, 5)))
    )
    assert folds.fold_score(blurred, "T") == pytest.approx(1)
    # All in one class, or each in its own: nothing in common is 10 ln 2.
    one = folds.FoldStatistics.of(
        Classified(torch.zeros(3, 2), dict.fromkeys(LEVELS, sharp[[0, 0, 0]]))
    )
    other = folds.FoldStatistics.of(
        Classified(torch.zeros(3, 2), dict.fromkeys(LEVELS, sharp[[1, 2, 3]]))
    )
    assert folds.fold_jsd(one, other, "C") == pytest.approx(10 * np.log(2), abs=1e-4)


def test_sums_are_numpys_moments() -> None:
    classified = made(50, 1)
    mean, covariance = folds.FoldStatistics.of(classified).moments()
    features = classified.features.double().numpy()
    assert np.allclose(mean, features.mean(0))
    assert np.allclose(covariance, np.cov(features.T))
    rows = np.arange(0, 50, 2)
    assert np.allclose(
        folds.FoldStatistics.of(classified, rows).moments()[0], features[rows].mean(0)
    )


def reference(count: int = 40) -> dict[str, torch.Tensor]:
    found = folds.FoldStatistics.of(made(count, 2))
    number = torch.tensor(float(count))
    return {
        "FID_real_features_sum": torch.from_numpy(found.features),
        "FID_real_features_cov_sum": torch.from_numpy(found.products),
        "FID_real_features_num_samples": number,
        **{
            f"fJSD_{level}_real_features_sum": torch.from_numpy(found.probabilities[level])
            for level in LEVELS
        },
        **{f"fJSD_{level}_real_features_num_samples": number.clone() for level in LEVELS},
    }


def test_a_reference_file_is_written(tmp_path: Path) -> None:
    found = folds.FoldStatistics.of(made(40, 2))
    folds.save_reference(found, tmp_path / "own.safetensors")
    assert folds.fpsd(found, folds.read_reference(tmp_path / "own.safetensors")) == pytest.approx(
        0, abs=1e-9
    )


def test_a_reference_file_is_read(tmp_path: Path) -> None:
    content = reference()
    torch.save({**content, "IS_T_old": torch.zeros(3)}, tmp_path / "reference.pth")
    found = folds.read_reference(tmp_path / "reference.pth")
    samples = folds.FoldStatistics.of(made(40, 2))
    assert found.count == 40
    assert folds.fpsd(samples, found) == pytest.approx(0, abs=1e-9)
    assert folds.fold_jsd(samples, found, "A") == pytest.approx(0, abs=1e-6)
    with pytest.raises(FewstepError, match="reference file"):
        folds.fold_score(found, "A")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"FID_real_features_sum": None}, "no FID_real_features_sum"),
        ({"FID_real_features_sum": torch.zeros(2, 2)}, "bad FID_real_features_sum"),
        ({"FID_real_features_sum": torch.zeros(3)}, "another width"),
        ({"FID_real_features_num_samples": torch.tensor(1.0)}, "fewer than two"),
        ({"fJSD_A_real_features_num_samples": torch.tensor(7.0)}, "counts that differ"),
        ({"FID_real_features_cov_sum": torch.eye(6).roll(1, 0)}, "asymmetric"),
        ({"fJSD_T_real_features_sum": torch.ones(4)}, "add up to 1"),
    ],
)
def test_contradictions_in_a_reference_file(tmp_path: Path, change: dict, said: str) -> None:
    content = {k: v for k, v in {**reference(), **change}.items() if v is not None}
    save_file(content, tmp_path / "reference.safetensors")
    with pytest.raises(FewstepError, match=said):
        folds.read_reference(tmp_path / "reference.safetensors")
