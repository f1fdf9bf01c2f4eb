"""LiDAR scene completion as a field of the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from domains.batch import Batch, Request, Sample
from domains.config import Distil, RunConfig
from domains.distillation.denoiser import Denoiser, Unconditional
from domains.distillation.process import NoiseProcess
from domains.distillation.roles import Draws, Loss
from domains.errors import FewstepError
from domains.evaluation.statistics.measured import Measured
from domains.field import Field
from domains.files.model_files import read_model
from domains.lidar import evaluation
from domains.lidar.calibrate import calibration_of, fit_levels
from domains.lidar.checkpoint import read_teacher
from domains.lidar.completed import write_completed
from domains.lidar.conditions import asked_of
from domains.lidar.data.scenes import Scenes, batch_of, scan_request
from domains.lidar.denoiser import LidarDenoiser, parse_network
from domains.lidar.files import read_scan, read_whole, write_points
from domains.lidar.local_noise import LocalNoise
from domains.lidar.losses.noise_loss import lidiff_loss
from domains.lidar.losses.refinement_loss import refinement_loss
from domains.lidar.losses.structure import chamfer_to, structure
from domains.lidar.network.unet import UNet
from domains.lidar.pictures import bird_eye, perspective, write_png
from domains.lidar.post_filter import post_filter
from domains.lidar.settings import (
    LidarData,
    LidarEvaluate,
    LidarGenerate,
    LidarPretrain,
    LidarRun,
)
from domains.lidar.simulator.streets import simulate_streets

__all__ = ["FIELD", "LidarField"]


# Scenes that a teacher in training is validated on.
_VALIDATED = 4


class LidarField(Field[LidarDenoiser]):
    """Teacher, data, files and measures of completed scenes (see ``Field``)."""

    name = "lidar"
    refining_calls = 1

    def __init__(self, data: LidarData | None = None):
        self.data = data or LidarData()
        self.scenes = Scenes(self.data)

    def with_data(self, data: LidarData) -> "LidarField":
        """Return this field with the sequences of ``data``."""
        return LidarField(data)

    def prepare(self, source: Path, output: Path, options: Mapping[str, Any]) -> None:
        """Turn a public LiDiff checkpoint, or a canonical directory, into canonical form."""
        if (source / "model.json").exists():
            weights, config = read_model(source)
            denoiser = LidarDenoiser.build(weights, config, str(source))
            facts = config.get("provenance", {})
        else:
            denoiser, facts = read_teacher(source, options), {"source": source.name}
        denoiser.save(output, half=bool(options.get("half")), **facts)

    def calibrate(self, source: Path, output: Path, run: RunConfig) -> None:
        """Fit how much of the predicted noise to believe, on the last training sequence."""
        assert isinstance(run, LidarRun) and run.calibration is not None
        weights, config = read_model(source)
        config.pop("calibration", None)
        denoiser = LidarDenoiser.build(weights, config, str(source))
        scenes = self.scenes.with_truth(denoiser.config, run.calibration.scenes)
        fits = fit_levels(denoiser, [batch_of([scene]) for scene in scenes], Draws((run.seed,)))
        config |= {"regularised": False, "calibration": calibration_of(fits).describe()}
        calibrated = LidarDenoiser.build(weights, config, str(source))
        facts = {**config.get("provenance", {}), "fits": [asdict(fit) for fit in fits]}
        calibrated.save(output, **facts)

    def load(self, directory: Path) -> LidarDenoiser:
        """Return the denoiser stored in ``directory``."""
        return LidarDenoiser.load(directory)

    def save(self, denoiser: LidarDenoiser, directory: Path, **provenance: Any) -> None:
        """Write a denoiser in canonical form."""
        denoiser.save(directory, **provenance)

    def new(self, config: LidarPretrain, seed: int) -> LidarDenoiser:
        """Return an untrained denoiser, or one whose refinement alone is to be trained."""
        network = parse_network(config.network, "pretrain.network")
        refined = config.part == "refinement"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            denoiser = LidarDenoiser(network, refined, config.regularised)
        denoiser.training_part, denoiser.training_times = config.part, config.times
        for part in (denoiser.encoder, denoiser.predictor):
            part.requires_grad_(not refined)
        return denoiser

    def recompute(self, denoiser: LidarDenoiser) -> None:
        """Keep the inputs of each stage of the U-Nets only."""
        for network in (denoiser.predictor, denoiser.refinement):
            if isinstance(network, UNet):
                network.recompute = True

    def start(self, denoiser: LidarDenoiser, earlier: LidarDenoiser) -> None:
        """Go on from ``earlier``; a new refinement stays as it is."""
        if denoiser.config != earlier.config:
            raise FewstepError(
                "pretrain.start is of another architecture",
                expected=denoiser.config.model_dump(),
                got=earlier.config.model_dump(),
            )
        denoiser.encoder.load_state_dict(earlier.encoder.state_dict())
        denoiser.predictor.load_state_dict(earlier.predictor.state_dict())
        if denoiser.refinement is not None and earlier.refinement is not None:
            denoiser.refinement.load_state_dict(earlier.refinement.state_dict())

    def process(self, denoiser: LidarDenoiser) -> NoiseProcess:
        """Return LiDiff's local noise, with its regulariser unless the model does without."""
        return denoiser.process

    def training_batches(self, config: LidarPretrain, seed: int) -> Callable[[int, Draws], Batch]:
        """Return batches of augmented scenes by number."""
        network = parse_network(config.network, "pretrain.network")
        count = config.scenes_per_batch
        return lambda index, _: self.scenes.training_batch(network, count, index, seed)

    def teacher_loss(
        self, denoiser: LidarDenoiser, process: NoiseProcess, batch: Batch, draws: Draws
    ) -> Loss:
        """Return LiDiff's training loss of the part that is trained."""
        if denoiser.training_part == "refinement":
            return refinement_loss(denoiser, batch, draws)
        assert isinstance(process, LocalNoise)
        return lidiff_loss(denoiser, process, batch, draws, denoiser.training_times)

    def held_out_error(
        self, config: LidarPretrain, seed: int
    ) -> Callable[[LidarDenoiser], dict[str, float]]:
        """Return a function that computes the noise's error on scenes of the last sequence."""

        def error(denoiser: LidarDenoiser) -> dict[str, float]:
            scenes = self.scenes.with_truth(denoiser.config, _VALIDATED)
            batches = [batch_of([scene]) for scene in scenes]
            fits = fit_levels(denoiser, batches, Draws((seed, "held out")))
            by_level = {f"noise_{fit.timestep}": fit.error for fit in fits}
            return {"quality": -float(np.mean(list(by_level.values()))), **by_level}

        return error

    def simulate(self, output: Path) -> None:
        """Make streets in SemanticKITTI's layout, and their maps."""
        simulate_streets(self.data, output)

    def requests(
        self, plan: LidarGenerate, numbers: Sequence[int], denoiser: LidarDenoiser, seed: int
    ) -> list[Request | FewstepError]:
        """Return held-out scans to complete."""
        return self.scenes.held_out(denoiser.config, numbers, seed)

    def request_of(
        self, name: str, points: Float[np.ndarray, "n 3"], denoiser: LidarDenoiser
    ) -> Request:
        """Return the request to complete one scan."""
        return scan_request(name, points.astype(np.float32), denoiser.config)

    def training_requests(
        self, section: Distil, denoiser: LidarDenoiser, draws: Draws
    ) -> list[Request]:
        """Return random training scans, augmented."""
        numbers = [draws.integer(f"scene {k}", 1 << 40) for k in range(section.batch_size)]
        return self.scenes.training(denoiser.config, numbers, section.objective.whole_samples)

    def examples(self, section: Distil, denoiser: LidarDenoiser) -> Callable[[Draws], Batch]:
        """Return random training scans with their ground truth, augmented."""
        return lambda draws: batch_of(self.training_requests(section, denoiser, draws))

    def judge(
        self, denoiser: LidarDenoiser, noisy: Tensor, time: Tensor, batch: Batch
    ) -> tuple[Float[Tensor, "b n 3"], Float[Tensor, "b n"]]:
        """Return clean estimate and logits of each point (see ``LidarDenoiser.judge``)."""
        return denoiser.judge(noisy, time, batch)

    def validation_requests(self, section: Distil, denoiser: LidarDenoiser) -> list[Request]:
        """Return scans of the last training sequence."""
        return self.scenes.validation(denoiser.config, section.validation_samples)

    def tuning_requests(
        self, plan: LidarGenerate, count: int, denoiser: LidarDenoiser, seed: int
    ) -> list[Request]:
        """Return scans of the last training sequence."""
        return self.scenes.validation(denoiser.config, count)

    def blank(self, requests: Sequence[Request]) -> Batch:
        """Return scans, each point many times, as the places that noise is added to."""
        return batch_of(requests)

    def encode(self, denoiser: LidarDenoiser, batch: Batch) -> Batch:
        """Return the batch with its partial scans encoded."""
        return denoiser.encode(batch)

    def unconditional(self, denoiser: Denoiser) -> Denoiser:
        """Return the denoiser without the scan."""
        return Unconditional(denoiser, ("partial", "encoded"))

    def finish(
        self, denoiser: LidarDenoiser, points: Tensor, request: Request, refine: bool
    ) -> Float[Tensor, "m 3"]:
        """Return the completion after LiDiff's post-filter and, if asked, refined."""
        scan = asked_of(request)["partial"].numpy()
        kept = torch.from_numpy(post_filter(points.cpu().numpy(), scan, denoiser.config.radius))
        return denoiser.refine(kept.to(points.device)).cpu() if refine else kept

    def preference(
        self, kind: str = "quick", tools: Path | None = None
    ) -> Callable[[Tensor, Batch], Tensor]:
        """Return the negative Chamfer distance to the ground truth; there is no other kind."""
        if kind != "quick":
            raise FewstepError("LiDAR scenes are ranked by Chamfer distance only", got=kind)
        return lambda points, batch: -chamfer_to(points, batch)

    def structure(self, points: Float[Tensor, "b n 3"], batch: Batch) -> dict[str, Tensor]:
        """Return ScoreLiDAR's structural errors, by correspondence."""
        return structure(points, batch)

    def validate(self, samples: Sequence[Sample], requests: Sequence[Request]) -> dict[str, float]:
        """Return quick measures; ``quality`` is 1 / (1 + Chamfer distance in metre)."""
        return evaluation.quick(samples, requests)

    def write(self, sample: Sample, directory: Path, options: Mapping[str, Any]) -> list[str]:
        """Write a PLY file, and others and pictures beside it on request.

        With the option "completed" it is a coloured one, with the scan's points unless
        "scan_points" is false, and a picture of the scan beside the completion.
        """
        points = sample.points.numpy()
        if options.get("completed"):
            scan = sample.condition.get("scan", sample.condition["partial"]).numpy()
            return write_completed(directory, sample.name, points, scan, options["scan_points"])
        formats = [form for form in ("pcd", "bin") if form in options.get("formats", ())]
        names = [f"{sample.name}.{form}" for form in ("ply", *formats)]
        for name in names:
            write_points(directory / name, points)
        if "png" in options.get("formats", ()):
            for view, picture in (("bird", bird_eye), ("perspective", perspective)):
                names.append(f"{sample.name}_{view}.png")
                write_png(directory / names[-1], picture(points))
        return names

    def read(self, path: Path) -> Sample:
        """Read a file that ``write`` has written."""
        return Sample(path.stem, torch.from_numpy(read_whole(path)))

    def adopt(self, path: Path, chain: str | None) -> Sample:
        """Read a completion of another program, called like its scene."""
        if path.stem not in self.scenes.names():
            raise FewstepError(f"{path} is called like no scene of the data", got=path.stem)
        scan = read_scan(path, self.data.columns)
        if scan.dropped:
            raise FewstepError(f"{path}: {scan.loss}")
        return Sample(path.stem, torch.from_numpy(scan.points))

    def held_out(self, plan: LidarGenerate, numbers: Sequence[int], seed: int) -> dict[int, Sample]:
        """Return half of the ground truth: nearly what no completion can beat."""
        return evaluation.half_truth(self.scenes.whole(numbers, seed), seed)

    def decoys(self, plan: LidarGenerate, numbers: Sequence[int], seed: int) -> dict[int, Sample]:
        """Return the scans themselves, not completed."""
        whole = self.scenes.whole(numbers, seed)
        return {k: Sample(s.name, torch.from_numpy(s.partial)) for k, s in whole.items()}

    def evaluate(
        self, samples: Sequence[Sample], config: LidarEvaluate, seed: int, tools: Path | None
    ) -> Measured:
        """Measure samples against the ground truth of their scenes."""
        scenes = self.scenes.by_name([sample.name for sample in samples])
        return evaluation.measure(samples, scenes, config, seed)

    def gallery(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return point clouds and bird's eye views; of a loose scan, first what was completed."""
        scans = self.scenes.inputs([sample.name for sample in samples])
        shown: list[Sample] = []
        for sample in samples:
            shown += [scans[sample.name], sample] if sample.name in scans else [sample]
        return evaluation.gallery(shown)


FIELD = LidarField()
