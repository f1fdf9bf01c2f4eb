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
from domains.protein.network import NetworkConfig

__all__ = ["read_source"]


def read_source(
    source: Path, options: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return weights and configuration for the canonical form, after building the network once.

    Args:
        source: Checkpoint file or canonical directory.
        options: ``lora_alpha``; ``network``, ``target`` and ``motif`` of students, which bring
            none; and ``cath_mapping`` or ``fold_classes``, a file of it, where needed.

    Raises:
        FewstepError: The source can't be read, its weights do not fit its architecture, or it
            contradicts an option.
    """
    if source.is_dir():
        weights, config = read_model(source)
        _check_network(source, config.get("network"), options)
        if options.get("lora_alpha") is not None:
            raise FewstepError(f"{source} has no adapters", do="Leave out --lora-alpha")
        config |= _fold_classes(options)
        ProteinaDenoiser.build(dict(weights), config, str(source))
        return weights, config
    checkpoint = read_checkpoint(source, lora_alpha=options.get("lora_alpha"))
    network = checkpoint.network or options.get("network")
    if network is None:
        raise FewstepError(
            f"{source} holds weights but no architecture",
            do="Prepare its teacher's checkpoint and give that model.json with --architecture",
        )
    _check_network(source, network, options)
    config = {
        "network": network,
        "target": checkpoint.target or options.get("target") or "v",
        "motif": checkpoint.motif or options.get("motif") is True,
        "cath_mapping": options.get("cath_mapping"),
    } | _fold_classes(options)
    denoiser = ProteinaDenoiser.build(dict(checkpoint.weights), config, str(source))
    provenance = {"source": source.name, "format": checkpoint.source_format}
    return checkpoint.weights, denoiser.describe(**provenance)


def _fold_classes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fold classes of a file that was given."""
    file = options.get("fold_classes")
    return {"cath_mapping": CathMapping.read(Path(file)).to_dict()} if file else {}


def _check_network(source: Path, found: Any, options: Mapping[str, Any]) -> None:
    """Refuse an architecture that was given and is not the source's own."""
    if (given := options.get("network")) is None:
        return
    if NetworkConfig.parse(given, "--architecture") != NetworkConfig.parse(found, str(source)):
        raise FewstepError(
            f"{source} has another architecture than was given", do="Leave out --architecture"
        )
