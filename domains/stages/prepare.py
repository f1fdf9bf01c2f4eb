"""Stage: turn a teacher checkpoint into the canonical form."""

import json
from pathlib import Path

from domains.config import located
from domains.errors import FewstepError

__all__ = ["prepare"]


def prepare(
    source: str,
    output: Path,
    domain: str = "protein",
    architecture: Path | None = None,
    lora_alpha: float | None = None,
    fold_classes: Path | None = None,
    sha256: str = "",
    half: bool = False,
) -> None:
    """Turn a teacher's checkpoint into model.safetensors + model.json; runs no pickled code.

    Args:
        source: Checkpoint file, model directory or bundled name (such as proteina-mini).
        output: Directory of the model.
        domain: Scientific field.
        architecture: model.json of the architecture, for files that hold weights only.
        lora_alpha: α of LoRA weights whose file does not say it.
        fold_classes: Proteina's cath_label_mapping.pt: which row of a checkpoint is which class.
        sha256: Expected checksum of the checkpoint file.
        half: Store the weights in float16 (half the size; computing stays in float32).
    """
    from domains.field import load_field
    from domains.files import provenance

    path = located(source)
    if sha256 and path.is_file() and provenance.sha256(path) != sha256:
        raise FewstepError(
            f"checksum of {path}",
            expected=sha256,
            got=provenance.sha256(path),
            do="Download it again",
        )
    options = {"lora_alpha": lora_alpha, "half": half, "fold_classes": fold_classes}
    options |= _architecture(architecture)
    load_field(domain).prepare(path, output, options)


def _architecture(path: Path | None) -> dict:
    """Return network and fold classes from a model.json."""
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FewstepError(f"can't read the architecture {path}", got=error) from error
    if not isinstance(content, dict):
        raise FewstepError(f"{path} is no architecture", expected="a JSON object")
    return {
        "network": content.get("network", content),
        "cath_mapping": content.get("cath_mapping"),
    }
