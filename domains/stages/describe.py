"""Stage: describe once what all sets of a run are compared with."""

from pathlib import Path

from domains.config import load_config
from domains.errors import FewstepError

__all__ = ["describe"]


def describe(config: Path, output: Path) -> None:
    """Describe once what all sets are compared with: known structures of the samples' sizes.

    Args:
        config: Run configuration (YAML).
        output: JSON file of their descriptors, which evaluate reads.

    Raises:
        FewstepError: The field has nothing to describe.
    """
    settings = load_config(config)

    from domains.capabilities import Describing, capability
    from domains.field import load_field
    from domains.files.aside import make_way

    if settings.reference_sizes is None:
        raise FewstepError(f"the {settings.domain} field describes no references")
    field = load_field(settings.domain).with_data(settings.located_data)
    make_way(output, '{\n "made_of": ')
    capability(field, Describing, "describes no references").describe(
        output, *settings.reference_sizes
    )
