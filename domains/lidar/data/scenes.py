"""Scenes of a run's sequences as requests to complete, and as training batches."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float32

from domains.batch import Batch, Request, Sample
from domains.errors import FewstepError
from domains.lidar.conditions import asked_of
from domains.lidar.data.scene_sample import SceneSample, Streets, farthest_points, near_sensor
from domains.lidar.files import read_points
from domains.lidar.network.config import SceneConfig
from domains.lidar.settings import LidarData

__all__ = ["Scenes", "batch_of", "scan_request"]

_Made = TypeVar("_Made")


class Scenes:
    """Training, validation and held-out scenes; sequences are opened when first asked for.

    Models are validated on the last training sequence, which they are then not trained on.

    Args:
        data: Where the sequences are.
    """

    def __init__(self, data: LidarData):
        self.data = data
        self._learned = data.train[:-1] or data.train
        self._streets = lru_cache(maxsize=8)(self._open)

    def training_batch(self, config: SceneConfig, count: int, index: int, seed: int) -> Batch:
        """Return augmented scenes for a teacher, ``count`` of the micro-batch ``index``."""
        self._suit(config)
        streets = self._streets(self._learned, config.partial_points, config.learning_size, True)
        # Scans in random order, so that a batch does not hold neighbours of one street.
        order = np.random.default_rng([seed, index]).integers(0, 1 << 40, count)
        return batch_of(self._augmented(streets, config, order.tolist(), config.learning_size))

    def training(
        self, config: SceneConfig, numbers: Sequence[int], whole: bool = True
    ) -> list[Request]:
        """Return augmented scenes for a student by number, with all or a part of their points."""
        self._suit(config)
        size = config.points if whole else config.learning_size
        streets = self._streets(self._learned, config.partial_points, size, True)
        return self._augmented(streets, config, numbers, size)

    def _augmented(
        self, streets: Streets, config: SceneConfig, numbers: Sequence[int], size: int
    ) -> list[Request]:
        """Return scenes by number, with ``size`` of their points, other ones of each."""
        scenes = [_request(streets.usable(number), config) for number in numbers]
        return [_part(scene, size, k) for scene, k in zip(scenes, numbers, strict=True)]

    def validation(self, config: SceneConfig, count: int) -> list[Request]:
        """Return ``count`` scenes, evenly spread over the last training sequence."""
        return self._spread(config, count, None)

    def with_truth(self, config: SceneConfig, count: int) -> list[Request]:
        """Return the scenes of ``validation``, with truth as large as completions."""
        return self._spread(config, count, config.points)

    def _spread(self, config: SceneConfig, count: int, truth: int | None) -> list[Request]:
        self._suit(config)
        streets = self._streets(self.data.train[-1:], config.partial_points, truth, False)
        places = np.linspace(0, len(streets) - 1, count).round().astype(int)
        return [_request(streets.usable(int(k)), config) for k in places]

    def held_out(
        self, config: SceneConfig, numbers: Sequence[int], seed: int
    ) -> list[Request | FewstepError]:
        """Return held-out scenes by number, in an order that the seed decides.

        A scan that can't be used gives the error that says why.
        """
        self._suit(config)
        if self.data.scans is not None:
            return [
                _attempt(lambda path=path: _loose(path, config, self.data.columns))
                for path in self._files(numbers)
            ]
        streets = self._streets(self.data.held_out, config.partial_points, config.points, False)
        places = self._places(streets, numbers, seed)
        return [_attempt(lambda k=k: _request(streets.sample(k), config)) for k in places]

    def whole(self, numbers: Sequence[int], seed: int) -> dict[int, SceneSample]:
        """Return held-out scenes with all points of scan and ground truth, as far as usable."""
        if self.data.scans is not None:
            return {}
        streets = self._streets(self.data.held_out, None, None, False)
        places = self._places(streets, numbers, seed)
        found = [_attempt(lambda k=k: streets.sample(k)) for k in places]
        pairs = zip(numbers, found, strict=True)
        return {number: scene for number, scene in pairs if not isinstance(scene, FewstepError)}

    def names(self) -> frozenset[str]:
        """Return the names of the scenes that a run can complete."""
        if self.data.scans is not None:
            return frozenset(path.stem for path in self.data.loose_scans())
        return frozenset(self._streets(self.data.held_out, None, None, False).names())

    def by_name(self, names: Sequence[str]) -> list[SceneSample | None]:
        """Return whole held-out scenes by name; loose scans have no ground truth."""
        if self.data.scans is not None:
            return [None] * len(names)
        streets = self._streets(self.data.held_out, None, None, False)
        numbers = streets.names()
        return [streets.sample(numbers[name]) for name in names]

    def inputs(self, names: Sequence[str]) -> dict[str, Sample]:
        """Return the loose scans that completions are of, by their names, as far as still there."""
        paths = _attempt(self.data.loose_scans) if self.data.scans else []
        if isinstance(paths, FewstepError):
            return {}
        files = {path.stem: path for path in paths if path.stem in names}
        scans = {name: _attempt(lambda path=path: self._near(path)) for name, path in files.items()}
        return {
            name: Sample(f"{name}, the scan", torch.from_numpy(_contiguous(scan)))
            for name, scan in scans.items()
            if not isinstance(scan, FewstepError)
        }

    def _near(self, path: Path) -> Float32[np.ndarray, "n 3"]:
        return near_sensor(read_points(path, self.data.columns), self.data.radius)

    def _places(self, streets: Streets, numbers: Sequence[int], seed: int) -> list[int]:
        _enough(numbers, len(streets), "the held-out sequences")
        order = np.random.default_rng([seed, 0x5CE]).permutation(len(streets))
        return [int(order[number]) for number in numbers]

    def _files(self, numbers: Sequence[int]) -> list[Path]:
        files, place = self.data.loose_scans(), self.data.scans
        _enough(numbers, len(files), str(place))
        if len({path.stem for path in files}) < len(files):
            raise FewstepError(f"two scans in {place} differ in their suffix only", do="Rename one")
        return [files[number] for number in numbers]

    def _open(
        self, names: tuple[str, ...], partial: int | None, truth: int | None, training: bool
    ) -> Streets:
        assert self.data.path is not None
        root = Path(self.data.path) / "sequences"
        if not root.is_dir():
            raise FewstepError(
                f"there are no sequences in {self.data.path}",
                expected="a directory `sequences` in SemanticKITTI's layout",
                do="Set data.path to the directory above it",
            )
        return Streets(
            [root / name for name in names],
            partial,
            truth,
            training=training,
            columns=self.data.columns,
            radius=self.data.radius,
        )

    def _suit(self, config: SceneConfig) -> None:
        """Check that the model completes scenes as large as these."""
        if config.radius != self.data.radius:
            raise FewstepError(
                "the model was trained on scenes of another radius",
                expected=f"data.radius: {config.radius:g}",
                got=f"{self.data.radius:g}",
                do="Set data.radius to it",
            )


def batch_of(requests: Sequence[Request]) -> Batch:
    """Return scenes of one size as a batch: origin, condition and, if all have it, truth."""
    origins = [request.origin for request in requests if request.origin is not None]
    truths = [request.truth for request in requests if request.truth is not None]
    same = len(truths) == len(requests) and len({len(truth) for truth in truths}) == 1
    return Batch(
        mask=torch.ones(len(requests), requests[0].size, dtype=torch.bool),
        points=torch.stack(truths) if same and len(truths[0]) == requests[0].size else None,
        origin=torch.stack(origins),
        condition={"partial": torch.stack([asked_of(r)["partial"] for r in requests])},
    )


def _attempt(make: Callable[[], _Made]) -> _Made | FewstepError:
    try:
        return make()
    except FewstepError as error:
        return error


def _enough(numbers: Sequence[int], count: int, where: str) -> None:
    if max(numbers, default=0) >= count:
        raise FewstepError(
            f"there are not so many scans in {where}",
            expected=f"at most {count} of generate.scenes",
            got=f"more than {max(numbers)}",
        )


def _loose(path: Path, config: SceneConfig, columns: tuple[str, ...] | None) -> Request:
    return scan_request(path.stem, read_points(path, columns), config, str(path))


def scan_request(
    name: str, points: Float32[np.ndarray, "n 3"], config: SceneConfig, source: str = "the scan"
) -> Request:
    """Return a scan without ground truth, cropped and thinned as LiDiff's input is, to complete.

    Args:
        name: Of the scan.
        points: In the sensor's frame, metre.
        config: Of the model.
        source: Where it is from, for errors.

    Raises:
        FewstepError: No point is in reach.
    """
    scan = near_sensor(points, config.radius)
    if not len(scan):
        raise FewstepError(f"{source} has no points between 3.5 and {config.radius:g} m")
    partial = torch.from_numpy(_contiguous(farthest_points(scan, config.partial_points)))
    origin = partial.repeat(config.copies, 1)
    condition = {"partial": partial, "scan": torch.from_numpy(_contiguous(scan))}
    return Request(name, config.points, condition, origin)


def _request(scene: SceneSample, config: SceneConfig) -> Request:
    partial = torch.from_numpy(_contiguous(scene.partial))
    return Request(
        scene.name,
        config.points,
        {"partial": partial},
        partial.repeat(config.copies, 1),
        torch.from_numpy(_contiguous(scene.truth)),
    )


def _part(scene: Request, size: int, draws: int) -> Request:
    """Return a scene with ``size`` of its points, drawn at random; its truth has as many."""
    assert scene.origin is not None
    if size == scene.size:
        return scene
    rows = np.random.default_rng([draws, 0x9A87]).permutation(scene.size)[:size]
    return replace(scene, size=size, origin=scene.origin[torch.from_numpy(rows)])


def _contiguous(points: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
    return np.ascontiguousarray(points, dtype=np.float32)
