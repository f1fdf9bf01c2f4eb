"""Networks of scenes as the engine's denoiser: clean points, condition encoded once."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from domains.batch import Batch
from domains.distillation.times import Times
from domains.errors import FewstepError
from domains.files.model_files import read_model, write_model
from domains.lidar.calibration import Calibration
from domains.lidar.conditions import told_to
from domains.lidar.local_noise import LocalNoise
from domains.lidar.network.config import NetworkConfig
from domains.lidar.network.encoder import ConditionEncoder
from domains.lidar.network.noise import NoisePredictor
from domains.lidar.network.refinement import Refinement
from domains.lidar.points import PointConfig, PointPredictor, ScanEncoder
from domains.lidar.sparse import voxelise
from domains.settings import is_mapping

__all__ = ["LidarDenoiser", "parse_network"]


class LidarDenoiser(nn.Module):
    """Encoder, noise predictor and, where it was trained, the refinement of completions.

    They are LiDiff's, or those of points (``points.PointPredictor``), as the configuration says.

    A batch tells it the partial scan as the condition "partial" [b, p, 3], or what
    ``encode`` made of it. Without either it knows nothing: the unconditional estimate.

    Args:
        config: Architecture and points.
        refined: Whether there is a refinement network.
        regularised: Whether it was trained with LiDiff's regulariser, and not calibrated since.
        calibration: Factors of its predictions; None: they are taken as they are.
    """

    def __init__(
        self,
        config: NetworkConfig | PointConfig,
        refined: bool = False,
        regularised: bool = True,
        calibration: Calibration | None = None,
    ):
        super().__init__()
        self.config, self.calibration = config, calibration
        self.process = LocalNoise(regularised)
        self.encoder, self.predictor = _networks(config)
        self.refinement = _refinement(config) if refined else None
        # Normalisation by the batch's own statistics is for training a teacher only.
        self.training_part: Literal["denoiser", "refinement"] | None = None
        self.training_times: Times | None = None

    def train(self, mode: bool = True) -> "LidarDenoiser":
        """Set the mode of the part that a teacher's training trains; the rest only evaluates."""
        super().train(False)
        if mode and self.training_part == "denoiser":
            self.encoder.train()
            self.predictor.train()
        elif mode and self.training_part == "refinement" and self.refinement is not None:
            self.refinement.train()
        self.training = mode
        return self

    def forward(
        self,
        noisy: Float[Tensor, "b n 3"],
        time: Float[Tensor, " b"],
        batch: Batch,
        previous: Float[Tensor, "b n 3"] | None = None,
    ) -> Float[Tensor, "b n 3"]:
        """Estimate the clean points in metre (see ``Denoiser``); ``previous`` is not used."""
        return self._clean(noisy, self.noise(noisy, time, batch), time, batch)

    def judge(
        self, noisy: Float[Tensor, "b n 3"], time: Float[Tensor, " b"], batch: Batch
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n"]]:
        """Return the clean estimate, and the mean of each point's features as a logit."""
        noise, logits = self._predicted(noisy, time, batch)
        return self._clean(noisy, noise, time, batch), logits[..., 0]

    def _clean(self, noisy: Tensor, noise: Tensor, time: Tensor, batch: Batch) -> Tensor:
        sigma = self.process.sigma(time)[:, None, None]
        return (noisy - sigma * noise) * batch.mask[..., None]

    def noise(
        self, noisy: Float[Tensor, "b n 3"], time: Float[Tensor, " b"], batch: Batch
    ) -> Float[Tensor, "b n 3"]:
        """Predict the noise of each point, calibrated if the model is; 0 at padding."""
        return self._predicted(noisy, time, batch)[0]

    def _predicted(
        self, noisy: Tensor, time: Tensor, batch: Batch
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n 1"]]:
        """Return noise and logit of each point, 0 at padding."""
        points, scan = noisy[batch.mask], torch.nonzero(batch.mask)[:, 0]
        condition: Any = told_to(self.encode(batch))["encoded"]
        timestep = self.process.timestep(time)
        noise, logits = self.predictor.predict(points, scan, timestep, condition)
        noise = self._at_points(noise, batch)
        if self.calibration is not None:
            noise = self.calibration.factor(timestep)[:, None, None] * noise
        return noise, self._at_points(logits[:, None], batch)

    @staticmethod
    def _at_points(values: Float[Tensor, "m c"], batch: Batch) -> Float[Tensor, "b n c"]:
        """Put values of the real points in their places; 0 at padding."""
        places = values.new_zeros(*batch.mask.shape, values.shape[-1])
        return places.masked_scatter(batch.mask[..., None], values)

    def encode(self, batch: Batch) -> Batch:
        """Return the batch with its condition encoded: once for all steps of a sampler."""
        if "encoded" in batch.condition:
            return batch
        encoded = self.encoder.encode(told_to(batch).get("partial"), len(batch.mask))
        return replace(batch, condition={**batch.condition, "encoded": encoded})

    def refine(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "m 3"]:
        """Return six refined points for each one of a scene.

        Raises:
            FewstepError: This model has no refinement network.
        """
        if self.refinement is None:
            raise FewstepError(
                "this model has no refinement network", do="Use sets without refine, or train one"
            )
        scan = torch.zeros(len(points), dtype=torch.long, device=points.device)
        offsets = self.refinement(voxelise(points, scan, self.refinement.config.voxel_size))
        return (points[:, None] + offsets).flatten(0, 1)

    def save(self, directory: Path, *, half: bool = False, **provenance: Any) -> None:
        """Write the canonical form: ``model.safetensors`` and ``model.json``."""
        facts = self.describe(**provenance)
        write_model(directory, self.state_dict_of_floats(), facts, half=half)

    def state_dict_of_floats(self) -> dict[str, Tensor]:
        """Return all weights and running statistics; counters of batches say nothing."""
        return {k: v for k, v in self.state_dict().items() if v.is_floating_point()}

    def describe(self, **provenance: Any) -> dict[str, Any]:
        """Return the content of ``model.json``."""
        return {
            "network": self.config.model_dump(mode="json"),
            "refined": self.refinement is not None,
            "regularised": self.process.regularised,
            **({"calibration": self.calibration.describe()} if self.calibration else {}),
            "provenance": provenance,
        }

    @classmethod
    def load(cls, directory: Path) -> "LidarDenoiser":
        """Read the canonical form, computing in float32."""
        weights, config = read_model(directory)
        return cls.build(weights, config, str(directory))

    @classmethod
    def build(
        cls, weights: dict[str, Tensor], config: dict[str, Any], source: str
    ) -> "LidarDenoiser":
        """Build from weights and a ``model.json`` content.

        Raises:
            FewstepError: The weights do not fit the configuration.
        """
        network = parse_network(config.get("network"), source)
        stored = config.get("calibration")
        model = cls(
            network,
            bool(config.get("refined", False)),
            bool(config.get("regularised", True)),
            None if stored is None else Calibration.parse(stored, source),
        )
        expected = {k: v.shape for k, v in model.state_dict_of_floats().items()}
        for name in sorted(expected.keys() | weights.keys()):
            want, got = expected.get(name), getattr(weights.get(name), "shape", None)
            if want != got:
                raise FewstepError(
                    f"weights of {source} do not fit its architecture: {name}",
                    expected="no such tensor" if want is None else tuple(want),
                    got="none" if got is None else tuple(got),
                    do="Check width and refined, or use another file",
                )
        model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
        return model.eval()


def parse_network(content: Any, source: str) -> NetworkConfig | PointConfig:
    """Read the configuration of either network; ``kind: points`` tells the one of points.

    Raises:
        FewstepError: A key is unknown or a value makes no sense; ``source`` is named.
    """
    of_points = is_mapping(content) and content.get("kind") == "points"
    return (PointConfig if of_points else NetworkConfig).parse(content, source)


def _networks(
    config: NetworkConfig | PointConfig,
) -> tuple[ConditionEncoder | ScanEncoder, NoisePredictor | PointPredictor]:
    if isinstance(config, PointConfig):
        return ScanEncoder(config), PointPredictor(config)
    return ConditionEncoder(config), NoisePredictor(config)


def _refinement(config: NetworkConfig | PointConfig) -> Refinement:
    if isinstance(config, PointConfig):
        raise FewstepError("there is no refinement for a network of points", do="Do without")
    return Refinement(config)
