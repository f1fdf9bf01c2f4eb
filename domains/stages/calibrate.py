"""Stage: fit how much of its predicted noise a teacher may believe."""

from pathlib import Path

from domains.config import load_config

__all__ = ["calibrate"]


def calibrate(config: Path, source: Path, output: Path) -> None:
    """Write a teacher with a calibration that is fitted on training data.

    Args:
        config: Run configuration (YAML) with a ``calibration`` section.
        source: Directory of the model; its weights are kept as they are.
        output: Directory of the calibrated model.
    """
    settings = load_config(config)

    from domains.capabilities import Calibrating, capability
    from domains.errors import FewstepError
    from domains.field import load_field

    if not settings.calibrates:
        raise FewstepError(f"{config} has no calibration section", do="Add one")
    field = load_field(settings.domain).with_data(settings.located_data)
    fitting = capability(field, Calibrating, "calibrates no teachers")
    fitting.calibrate(source, output, settings)
