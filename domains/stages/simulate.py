"""Stage: make the data that a run simulates."""

from pathlib import Path

from domains.config import load_config
from domains.errors import FewstepError

__all__ = ["simulate"]


def simulate(config: Path, output: Path) -> None:
    """Make the data that a run's settings describe; what is there already is kept.

    Args:
        config: Run configuration (YAML) with ``data.simulate``.
        output: Directory that the data are made in.
    """
    settings = load_config(config)

    from domains.capabilities import Simulating, capability
    from domains.field import load_field

    if not settings.data.is_simulated:
        raise FewstepError(f"{config} has no data.simulate", do="Add it, or set data.path")
    field = load_field(settings.domain).with_data(settings.data)
    capability(field, Simulating, "simulates no data").simulate(output)
