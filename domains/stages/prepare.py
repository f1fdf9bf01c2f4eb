"""Stage: turn a teacher checkpoint into the canonical form."""

from pathlib import Path

from domains.errors import FewstepError
from domains.files.regular import read_json_object

__all__ = ["BUNDLED", "locate", "prepare"]

# Teachers that come with the package: name → directory beside the package.
BUNDLED = {
    "proteina-mini": "protein/assets/proteina-mini",
    "lidiff-mini": "lidar/assets/lidiff-mini",
}


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
        source: Checkpoint file, model directory or bundled name (proteina-mini, lidiff-mini).
        output: Directory of the model.
        domain: Scientific field.
        architecture: model.json of the architecture, for files that hold weights only.
        lora_alpha: α of LoRA weights whose file does not say it.
        fold_classes: Proteina's cath_label_mapping.pt: which row of a checkpoint is which class.
        sha256: Expected checksum of the checkpoint file.
        half: Store the weights in float16 (half the size; computing stays in float32).
    """
    from domains.domain import load_domain
    from domains.files import provenance

    path = locate(source)
    if sha256 and path.is_file() and provenance.sha256(path) != sha256:
        raise FewstepError(
            f"checksum of {path}",
            expected=sha256,
            got=provenance.sha256(path),
            do="Download it again",
        )
    options = {"lora_alpha": lora_alpha, "half": half, "fold_classes": fold_classes}
    options |= _architecture(architecture)
    load_domain(domain).prepare(path, output, options)


def locate(source: str) -> Path:
    """Return where a checkpoint, a model directory or a bundled model is.

    Raises:
        FewstepError: It is nowhere.
    """
    path = Path(__file__).parents[1] / BUNDLED[source] if source in BUNDLED else Path(source)
    if not path.exists():
        raise FewstepError(
            f"there is no checkpoint {source}",
            expected=f"a file, a model directory, or one of {', '.join(BUNDLED)}",
        )
    return path


def _architecture(path: Path | None) -> dict:
    """Return network and fold classes from a model.json."""
    if path is None:
        return {}
    try:
        content = read_json_object(path)
    except (OSError, ValueError) as error:
        raise FewstepError(f"can't read the architecture {path}", got=error) from error
    return {
        "network": content.get("network", content),
        "cath_mapping": content.get("cath_mapping"),
    }
