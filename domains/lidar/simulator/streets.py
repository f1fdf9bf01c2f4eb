"""The streets of a run: one sequence each, in SemanticKITTI's layout."""

from pathlib import Path

from tqdm import tqdm

from domains.errors import FewstepError
from domains.lidar.data.scene_sample import Streets
from domains.lidar.settings import LidarData
from domains.lidar.simulator.writer import simulate_sequence

__all__ = ["simulate_streets"]

# Streets of two seeds never meet: a run has fewer than 1,000.
_STREETS_PER_SEED = 1000


def simulate_streets(data: LidarData, output: Path) -> None:
    """Simulate streets to train on and to hold out; those already there are kept.

    Args:
        data: Settings with ``simulate``.
        output: Directory that ``sequences`` is made in.

    Raises:
        FewstepError: The settings simulate nothing.
    """
    plan = data.simulate
    if plan is None:
        raise FewstepError("there are no streets to simulate", do="Add data.simulate")
    for street in tqdm(data.simulated(output), desc="streets", mininterval=1.0):
        if not street.exists():
            seed = plan.seed * _STREETS_PER_SEED + int(street.name)
            simulate_sequence(street, seed, plan.scans, plan.azimuths, surface=False)
        # Builds its map, which else several later jobs would do at the same time.
        Streets([street])
