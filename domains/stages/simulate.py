"""Stage: simulate LiDAR streets."""

from pathlib import Path

from domains.config import load_config
from domains.errors import FewstepError

__all__ = ["simulate"]

# Streets of two seeds never meet: a run has fewer than 1,000.
_STREETS_PER_SEED = 1000


def simulate(config: Path, output: Path) -> None:
    """Simulate a run's streets in SemanticKITTI's layout; those already there are kept.

    Args:
        config: Run configuration (YAML) with ``data.simulate``.
        output: Directory that ``sequences`` is made in.
    """
    from tqdm import tqdm

    from domains.lidar.data.scene_sample import Streets
    from domains.lidar.simulator.writer import simulate_sequence

    settings = load_config(config)
    plan = settings.data.simulate
    if plan is None:
        raise FewstepError(f"{config} has no data.simulate", do="Add it, or set data.path")
    data = settings.data.located(str(output))
    for name in tqdm([*data.train, *data.held_out], desc="streets", mininterval=1.0):
        street = output / "sequences" / name
        if not street.exists():
            seed = plan.seed * _STREETS_PER_SEED + int(name)
            simulate_sequence(street, seed, plan.scans, plan.azimuths, surface=False)
        # Builds its map, which else several later jobs would do at the same time.
        Streets([street])
