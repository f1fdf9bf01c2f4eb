"""A model as it comes: a public checkpoint of Proteina, or a directory in canonical form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from domains.errors import FewstepError
from domains.files.model_files import read_model
from domains.protein.checkpoint.proteina import read_checkpoint
from domains.protein.data.cath import CathMapping
from domains.protein.denoiser import ProteinaDenoiser

__all__ = ["read_source"]


def read_source(
    source: Path, options: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return weights and configuration for the canonical form, after building the network once.

    Args:
        source: Checkpoint file or canonical directory.
        options: ``lora_alpha``, ``network`` (students bring no architecture, so theirs must be
            given), and ``cath_mapping`` or ``fold_classes``, a file of it, where needed.

    Raises:
        FewstepError: The source can't be read, or its weights do not fit its architecture.
    """
    if source.is_dir():
        weights, config = read_model(source)
        ProteinaDenoiser.build(dict(weights), config, str(source))
        return weights, config
    checkpoint = read_checkpoint(source, lora_alpha=options.get("lora_alpha"))
    network = checkpoint.network or options.get("network")
    if network is None:
        raise FewstepError(
            f"{source} holds weights but no architecture",
            do="Give the teacher's checkpoint or model.json with --architecture",
        )
    config = {
        "network": network,
        "target": checkpoint.target or "v",
        "motif": checkpoint.motif,
        "cath_mapping": options.get("cath_mapping"),
    }
    if file := options.get("fold_classes"):
        config["cath_mapping"] = CathMapping.read(Path(file)).to_dict()
    denoiser = ProteinaDenoiser.build(dict(checkpoint.weights), config, str(source))
    provenance = {"source": source.name, "format": checkpoint.source_format}
    return checkpoint.weights, denoiser.describe(**provenance)
