"""Contract: a calibration undoes a scale of predicted noise, is stored, and is used everywhere.

Least squares leaves an error that no other factor beats. Tables that make no sense are refused.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from lidar.tiny_denoiser import scans, tiny_denoiser

from domains.batch import Batch
from domains.distillation.roles import Draws
from domains.errors import FewstepError
from domains.lidar.calibrate import calibration_of, fit_levels
from domains.lidar.calibration import Calibration
from domains.lidar.denoiser import LidarDenoiser
from domains.lidar.field import LidarField
from domains.lidar.local_noise import LocalNoise, time_of

LEVELS = (10, 500, 990)
TABLE = Calibration((100, 300), (0.5, 0.9))


def test_factors_are_interpolated_and_kept_beyond_the_ends() -> None:
    steps = torch.tensor([0, 100, 150, 200, 300, 999])
    expected = torch.tensor([0.5, 0.5, 0.6, 0.7, 0.9, 0.9])
    torch.testing.assert_close(TABLE.factor(steps), expected)
    assert Calibration((7,), (0.8,)).factor(steps).tolist() == pytest.approx([0.8] * 6)


def test_fit_finds_the_scale_of_an_overconfident_prediction(monkeypatch) -> None:
    """A prediction 2 ε / (1 + level / 1000) + noise of its own is scaled back to least error."""
    model, batch = tiny_denoiser(), scans()

    def predict(noisy: torch.Tensor, time: torch.Tensor, batch: Batch) -> torch.Tensor:
        assert batch.points is not None
        level = LocalNoise().timestep(time).float()[:, None, None]
        noise = (noisy - batch.points) / LocalNoise().sigma(time)[:, None, None]
        own = torch.randn(noise.shape, generator=torch.Generator().manual_seed(1))
        return 2 / (1 + level / 1000) * (noise + own)

    monkeypatch.setattr(model, "noise", predict)
    fits = fit_levels(model, [batch] * 5, Draws((0,)), LEVELS)
    for fit in fits:
        # Half of the prediction's variance is of the noise: c times its scale is 1/2.
        assert fit.factor * 2 / (1 + fit.timestep / 1000) == pytest.approx(0.5, abs=0.03)
        assert fit.calibrated_error == pytest.approx(0.5, abs=0.03) and fit.error > 0.55
    assert calibration_of(fits).timesteps == LEVELS


def test_error_is_least(model: LidarDenoiser, monkeypatch) -> None:
    batch, process = scans(), LocalNoise()
    network = model.noise

    def predict(noisy: torch.Tensor, time: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mix the truth with what the random network says."""
        assert batch.points is not None
        noise = (noisy - batch.points) / process.sigma(time)[:, None, None]
        return noise + network(noisy, time, batch)

    monkeypatch.setattr(model, "noise", predict)
    [fit] = fit_levels(model, [batch], Draws((3,)), [400])
    assert batch.points is not None
    time = time_of(torch.full((2,), 400))
    noise = Draws((3,)).noise("noise 400 0")(batch.shape)
    with torch.no_grad():
        predicted = predict(process.perturb(batch.points, noise, time, batch), time, batch)

    def error(factor: float) -> float:
        return float((factor * predicted - noise).square().sum() / noise.square().sum())

    assert error(fit.factor) == pytest.approx(fit.calibrated_error, abs=1e-4)
    assert error(1.0) == pytest.approx(fit.error, rel=1e-4)
    assert error(0.9 * fit.factor) > error(fit.factor) < error(1.1 * fit.factor)


def test_prediction_of_nothing_is_refused(model: LidarDenoiser, monkeypatch) -> None:
    monkeypatch.setattr(model, "noise", lambda noisy, time, batch: torch.zeros_like(noisy))
    with pytest.raises(FewstepError, match="nothing of the noise"):
        fit_levels(model, [scans()], Draws((0,)), [500])


def test_calibrated_model_is_stored_and_multiplied_wherever_noise_is_predicted(
    model: LidarDenoiser, tmp_path: Path
) -> None:
    config = model.describe() | {"regularised": False, "calibration": TABLE.describe()}
    weights = model.state_dict_of_floats()
    LidarDenoiser.build(weights, config, "test").save(tmp_path / "model")
    found, batch = LidarDenoiser.load(tmp_path / "model"), scans()
    assert batch.points is not None
    time = time_of(torch.tensor([150, 300]))
    noisy = batch.points + 1
    with torch.no_grad():
        plain, calibrated = model.noise(noisy, time, batch), found.noise(noisy, time, batch)
        clean, judged = found(noisy, time, batch), found.judge(noisy, time, batch)[0]
    factors = torch.tensor([0.6, 0.9])[:, None, None]
    torch.testing.assert_close(calibrated, factors * plain)
    expected = noisy - model.process.sigma(time)[:, None, None] * factors * plain
    torch.testing.assert_close(clean, expected)
    torch.testing.assert_close(judged, expected)


def test_fake_scores_of_calibrated_teachers_have_no_regulariser(model: LidarDenoiser) -> None:
    batch = scans()
    assert batch.points is not None
    time = time_of(torch.tensor([150, 300]))
    noisy, field = batch.points + 1, LidarField()
    config = model.describe() | {"regularised": False, "calibration": TABLE.describe()}
    calibrated = LidarDenoiser.build(model.state_dict_of_floats(), config, "test")
    losses = [
        field.process(one).regulariser(batch.points, noisy, time, batch)
        for one in (model, calibrated)
    ]
    assert (losses[0] > 0.01).all() and (losses[1] == 0).all()


@pytest.mark.parametrize(
    "content",
    [
        {"timesteps": [3, 2], "factors": [1, 1]},
        {"timesteps": [1, 2], "factors": [1]},
        {"timesteps": [1, 2], "factors": [1, 0]},
        {"timesteps": [1, 2], "factors": [1, float("nan")]},
        {"timesteps": [1, 1000], "factors": [1, 1]},
        {"timesteps": [], "factors": []},
        {"factors": [1]},
        "0.6",
    ],
)
def test_tables_without_sense_are_refused(content: Any) -> None:
    with pytest.raises(FewstepError, match=r"m\.json has a calibration that makes no sense"):
        Calibration.parse(content, "m.json")
